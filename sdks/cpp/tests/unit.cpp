// A handler under a test of its own, and a runtime as a part of a larger program.
#include <iostream>

#include "outrigger.hpp"

namespace {

using outrigger::Context;
using outrigger::Json;

void work(const Json&, Context& context) { context.progress(100); }

}  // namespace

int main(int, char** arguments) {
    Context context(Json::Object{{"attempt", 2}, {"id", "m"}});
    outrigger::Function function("work", work);
    function.call(nullptr, context);
    context.cancel();
    try {
        function.call(nullptr, context);
    } catch (const outrigger::Canceled&) {
        std::cout << Json(context.reported).dump() << " " << context.attempt() << " " << context.id() << "\n";
    }
    outrigger::Options options;
    options.socket = arguments[1];
    options.concurrency = 3;
    try {
        auto left = outrigger::listen({{"a", [n = 0](const Json&) mutable { return ++n; }},
                                       {"b", [](const Json& payload, outrigger::Stream& out) { out(payload); }}},
                                      options);
        std::cout << "stopped, " << left << " left\n";
    } catch (const outrigger::StartError& error) {
        std::cout << error.exit_code << " " << error.what() << "\n";
    }
    try {
        outrigger::listen({{"a", work}, {"a", work}}, options);
    } catch (const outrigger::StartError& error) {
        std::cout << error.exit_code << " " << error.what() << "\n";
    }
}
