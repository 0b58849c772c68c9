// A handler that notes its calls and does what the payload says; the notes are as the tests' other handlers write them.
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <unistd.h>

#include "outrigger.hpp"

namespace {

using outrigger::Json;

void note(const std::string& line) { std::ofstream("notes", std::ios::app) << line + "\n" << std::flush; }

Json process(const Json& payload, outrigger::Context& context) {
    note("call " + context.actor() + " " + context.id() + " " + std::to_string(::getpid()) + " 0");
    if (payload.contains("fail")) throw outrigger::Fail("bad_input", payload["fail"].as_string());
    if (payload.contains("retry") && context.attempt() < 2) throw outrigger::Retry("not yet");
    while (payload.contains("gated") && ::access("gate", F_OK) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (payload.contains("copies")) return Json::Array(static_cast<std::size_t>(payload["copies"].as_int()), payload);
    return Json::Object{{"done", payload}, {"attempt", context.attempt()}};
}

}  // namespace

int main() {
    note("start " + std::to_string(::getpid()));
    return outrigger::serve(process);
}
