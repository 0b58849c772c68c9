// What a runtime serves to show that it conforms: every kind of answer that there is.
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "outrigger.hpp"

namespace {

using outrigger::Context;
using outrigger::Json;

std::atomic<int> cancellations{0};

std::optional<double> seconds(const Json& value) {
    return value.is_number() ? std::optional<double>(value.as_double()) : std::nullopt;
}

Json fan_out(const Json& payload) {
    Json::Array numbers;
    for (std::int64_t n = 0; n < payload["n"].as_int(); ++n) numbers.push_back(n);
    return numbers;
}

Json stream(const Json& payload, outrigger::Stream& out) {
    for (std::int64_t n = 0; n < payload["n"].as_int(); ++n) out(Json::Object{{"n", n}});
    return Json::Object{{"count", payload["n"]}};
}

Json steps(const Json&, Context& context) {
    context.progress(50, "half");
    context.partial(Json::Object{{"n", 1}});
    context.heartbeat();
    return Json::Object{{"done", true}};
}

Json context(const Json&, Context& context) {
    return Json::Object{
        {"id", context.id()},
        {"actor", context.actor()},
        {"function", context.function() ? Json(*context.function()) : Json()},
        {"attempt", context.attempt()},
        {"headers", context.headers()},
        {"deadline", context.deadline() ? Json(outrigger::format_time(*context.deadline())) : Json()},
    };
}

Json slow(const Json& payload) {
    std::this_thread::sleep_for(std::chrono::milliseconds(payload["ms"].as_int()));
    return Json::Object{{"slept", payload["ms"]}};
}

void wait(const Json&, Context& context) {
    try {
        while (true) {
            context.heartbeat();
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    } catch (const outrigger::Canceled&) {
        ++cancellations;
        throw;
    }
}

}  // namespace

int main() {
    return outrigger::serve({
        {"echo", [](const Json& payload) { return payload; }},
        {"nothing", [](const Json&) {}},
        {"fan_out", fan_out},
        {"one", [](const Json& payload) { return outrigger::One{payload}; }},
        {"fail",
         [](const Json& payload) {
             throw outrigger::Fail(payload["code"].as_string(), payload["message"].as_string(), payload["details"]);
         }},
        {"retry", [](const Json& payload) { throw outrigger::Retry(payload["message"].as_string(), seconds(payload["after"])); }},
        {"crash", [](const Json&) { throw std::runtime_error("boom"); }},
        {"steps", steps},
        {"stream", stream},
        {"context", context},
        {"slow", slow},
        {"wait", wait},
        {"cancellations", [](const Json&) { return cancellations.load(); }},
        {"bad_result", [](const Json&) { return Json::Object{{"nan", Json::Array{1, std::nan("")}}}; }},
    });
}
