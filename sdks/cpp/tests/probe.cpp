// The handler of the suites: functions that stand still, look around and misbehave.
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>

#include <sys/wait.h>

#include "outrigger.hpp"

namespace {

using outrigger::Context;
using outrigger::Json;

/// Lets callers on when `size` of them are there.
class Barrier {
public:
    explicit Barrier(int size) : size_(size) {}
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        int mine = arrived_++ / size_;
        changed_.notify_all();
        if (!changed_.wait_for(lock, std::chrono::seconds(50), [&] { return arrived_ >= (mine + 1) * size_; })) {
            throw std::runtime_error("nobody came");
        }
    }

private:
    int size_, arrived_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
};

void pass(const Json& gate) { std::ifstream(gate.as_string()).get(); }

Json gate(const Json& payload, Context& context) {
    context.progress("begun");
    pass(payload);
    return "opened";
}

void abandoned(const Json& payload, Context& context) {
    context.progress("begun");
    while (!context.canceled()) std::this_thread::yield();
    std::cout << "canceled\n";
    pass(payload);
    std::cout << "over\n";
}

Json together(const Json&) {
    static Barrier barrier(4);
    barrier.wait();
    return "together";
}

Json most(const Json&) {
    static Barrier pair(2);
    static std::mutex mutex;
    static int now = 0, most = 0;
    {
        std::lock_guard<std::mutex> lock(mutex);
        most = std::max(most, ++now);
    }
    pair.wait();
    std::lock_guard<std::mutex> lock(mutex);
    --now;
    return most;
}

Json seen(const Json& payload) {
    static std::mutex mutex;
    static Json::Array all;
    std::lock_guard<std::mutex> lock(mutex);
    all.push_back(payload);
    return all;
}

Json read_stdin(const Json&) {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

Json spawn(const Json&) {
    pid_t child = ::fork();
    if (child == 0) {
        ::execlp("sleep", "sleep", "1000", static_cast<char*>(nullptr));
        ::_exit(1);
    }
    return child;
}

/// A child that lives on as a copy of this process, and what a signal makes of it.
Json fork_and_wait(const Json& payload) {
    if (payload.is_null()) {
        int ready[2];
        if (::pipe(ready) != 0) throw std::runtime_error("no pipe");
        pid_t child = ::fork();
        if (child == 0) {
            (void)!::write(ready[1], "!", 1);
            while (true) ::pause();
        }
        char told = 0;
        (void)!::read(ready[0], &told, 1);
        ::close(ready[0]), ::close(ready[1]);
        return child;
    }
    int status = 0;
    ::waitpid(static_cast<pid_t>(payload.as_int()), &status, 0);
    return WTERMSIG(status);
}

/// What a thread of the handler's meets that still reports when the call is over.
Json late(const Json&, Context& context) {
    static std::string told;
    if (!told.empty()) return told;
    context.end();
    try {
        context.progress(1);
        told = "it was sent";
    } catch (const std::logic_error& error) {
        told = error.what();
    }
    return nullptr;
}

struct Odd {};
struct Bare : std::exception {
    const char* what() const noexcept override { return ""; }
};

void error(const Json& payload) {
    const std::string& kind = payload.as_string();
    if (kind == "bare") throw Bare();
    if (kind == "long") throw std::runtime_error(std::string(100000, 'x'));
    if (kind == "again") throw outrigger::Retry("not yet", {}, "slow", Json::Object{{"n", 1}});
    if (kind == "details") throw outrigger::Fail("big", "it is large", std::string(5000, 'y'));
    if (kind == "odd details") throw outrigger::Fail("odd", "of no matter", Json::Array{std::nan("")});
    if (kind == "odd") throw Odd();
    if (kind == "text") throw "a bare text";
    if (kind == "latin") throw std::runtime_error("caf\xe9");
    if (kind == "canceled") throw outrigger::Canceled();
}

void pieces(const Json&, outrigger::Stream& out) {
    for (int n = 0; n < 20; ++n) out(std::string(300000, 'x'));
}

void endless(const Json&, Context& context) {
    context.progress("begun");
    struct End {
        ~End() { std::cout << "closed\n"; }
    } end;
    while (true) context.partial(std::string(1000, 'x'));
}

void progress(const Json&, Context& context) {
    context.progress(25);
    context.progress("half");
    context.progress(75.5, "more");
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

/// Reports from several threads of the handler's own at once.
void crowd(const Json&, Context& context) {
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back([&] {
            for (int n = 0; n < 50; ++n) context.partial(n);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

Json kinds(const Json& payload) {
    const std::string& kind = payload.as_string();
    if (kind == "latin") return Json::Object{{"a", Json::Array{1, "caf\xe9"}}};
    if (kind == "deep") {
        Json value;
        for (int n = 0; n < 1001; ++n) value = Json::Array{value};
        return value;
    }
    if (kind == "string") return "text";
    if (kind == "bool") return true;
    return -0.5;
}

}  // namespace

int main() {
    std::vector<outrigger::Function> all{
        {"echo", [](const Json& payload) { return payload; }},
        {"gate", gate},
        {"abandoned", abandoned},
        {"together", together},
        {"most", most},
        {"seen", seen},
        {"stdin", read_stdin},
        {"spawn", spawn},
        {"fork", fork_and_wait},
        {"late", late},
        {"print", [](const Json& payload) { std::cout << payload.as_string() << '\n'; }},
        {"error", error},
        {"repeat", [](const Json& payload) { return std::string(static_cast<std::size_t>(payload.as_int()), 'x'); }},
        {"pieces", pieces},
        {"endless", endless},
        {"progress", progress},
        {"context", context},
        {"make", [](const Json& payload) { std::ofstream made(payload.as_string()); }},
        {"crowd", crowd},
        {"kinds", kinds},
    };
    if (const char* only = std::getenv("PROBE_ONLY")) {
        all.erase(std::remove_if(all.begin(), all.end(), [&](const auto& it) { return it.name != only; }), all.end());
    }
    outrigger::Options options;
    if (const char* cap = std::getenv("PROBE_MAX_FRAME")) options.max_frame = std::stoul(cap);
    int code = outrigger::serve(all, options);
    if (code == 0) std::cout << "after\n";
    return code;
}
