// Write a function; Outrigger brings it the work.
//
//     #include "outrigger.hpp"
//     int main() {
//         return outrigger::serve([](const outrigger::Json& payload) {
//             return outrigger::Json::Object{{"bytes", payload["text"].as_string().size()}};
//         });
//     }
//
// One header, C++17, POSIX, no dependency. In this order: JSON; what a handler throws and returns; its context; and in
// `detail` frames, replies, the socket's file, signals, connections and the server. Public is what stands outside `detail`.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__GNUG__)
#include <cxxabi.h>
#endif

namespace outrigger {

// ---- JSON -----------------------------------------------------------------------------------------------------------

/// A text that is not JSON, a value that has no JSON form, or a value of another kind than asked for.
class JsonError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Any JSON value. Members of an object stay in order; of a name that stands twice the last counts.
///
/// A text is UTF-8; half a surrogate pair, which has none, is kept as its three bytes and goes out escaped, as it came in.
class Json {
public:
    using Array = std::vector<Json>;
    using Object = std::vector<std::pair<std::string, Json>>;
    /// A number as it was spelled: one with a fraction or an exponent, or an integer of more than 64 bits.
    struct Number {
        std::string text;
    };
    static constexpr int max_depth = 1000;

    Json() = default;
    Json(std::nullptr_t) {}
    Json(double value) : value_(value) {}
    Json(const char* text) : value_(std::string(text)) {}
    Json(std::string_view text) : value_(std::string(text)) {}
    Json(std::string text) : value_(std::move(text)) {}
    Json(Array items) : value_(std::move(items)) {}
    Json(Object members) : value_(std::move(members)) {}
    Json(Number number) : value_(std::move(number)) {}
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    Json(T value) {
        if constexpr (std::is_same_v<T, bool>) {
            value_ = value;
        } else if constexpr (std::is_floating_point_v<T>) {
            value_ = static_cast<double>(value);
        } else if (std::is_unsigned_v<T> && static_cast<std::uint64_t>(value) > INT64_MAX) {
            value_ = static_cast<std::uint64_t>(value);
        } else {
            value_ = static_cast<std::int64_t>(value);
        }
    }

    /// The value of a text. Throws `JsonError`.
    static Json parse(std::string_view text);
    /// The text of a value, without spaces. Throws `JsonError`, which says where in the value it found what JSON has not.
    std::string dump() const;

    bool is_null() const { return is<std::nullptr_t>(); }
    bool is_bool() const { return is<bool>(); }
    bool is_number() const { return is<std::int64_t>() || is<std::uint64_t>() || is<double>() || is<Number>(); }
    bool is_string() const { return is<std::string>(); }
    bool is_array() const { return is<Array>(); }
    bool is_object() const { return is<Object>(); }

    bool as_bool() const { return get<bool>("a boolean"); }
    const std::string& as_string() const { return get<std::string>("a string"); }
    const Array& as_array() const { return get<Array>("an array"); }
    const Object& as_object() const { return get<Object>("an object"); }
    /// The number as a double, as near as there is one.
    double as_double() const;
    /// The number as an integer; 5.0 is one, 5.5 is not.
    std::int64_t as_int() const;

    /// The member of this name; null where there is none, or this is no object.
    const Json& operator[](std::string_view name) const {
        const Json* found = find(name);
        return found != nullptr ? *found : null();
    }
    /// The item at this index; null where there is none, or this is no array.
    const Json& operator[](std::size_t index) const {
        const Array* items = std::get_if<Array>(&value_);
        return items != nullptr && index < items->size() ? (*items)[index] : null();
    }
    /// The member of this name. Throws `JsonError` where there is none.
    const Json& at(std::string_view name) const {
        const Json* found = find(name);
        if (found == nullptr) throw JsonError("there is no member `" + std::string(name) + "`");
        return *found;
    }
    bool contains(std::string_view name) const { return find(name) != nullptr; }
    /// How many members or items there are; 0 for anything else.
    std::size_t size() const {
        if (const Array* items = std::get_if<Array>(&value_)) return items->size();
        const Object* members = std::get_if<Object>(&value_);
        return members != nullptr ? members->size() : 0;
    }
    /// Sets a member; a null becomes an object.
    Json& set(std::string_view name, Json value) {
        if (is_null()) value_ = Object{};
        if (Json* found = const_cast<Json*>(find(name))) {
            *found = std::move(value);
        } else {
            as_object();
            std::get<Object>(value_).emplace_back(name, std::move(value));
        }
        return *this;
    }
    /// Adds an item; a null becomes an array.
    Json& push(Json value) {
        if (is_null()) value_ = Array{};
        as_array();
        std::get<Array>(value_).push_back(std::move(value));
        return *this;
    }

    friend bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }
    friend bool operator!=(const Json& a, const Json& b) { return !(a == b); }
    friend bool operator==(const Number& a, const Number& b) { return a.text == b.text; }

private:
    std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, Number, std::string, Array, Object> value_;

    template <class T>
    bool is() const {
        return std::holds_alternative<T>(value_);
    }
    template <class T>
    const T& get(const char* wanted) const {
        if (const T* value = std::get_if<T>(&value_)) return *value;
        throw JsonError(std::string("expected ") + wanted + ", found " + kind());
    }
    const char* kind() const {
        static constexpr const char* names[] = {"null",     "a boolean", "a number", "a number", "a number",
                                                "a number", "a string",  "an array", "an object"};
        return names[value_.index()];
    }
    const Json* find(std::string_view name) const {
        const Object* members = std::get_if<Object>(&value_);
        if (members == nullptr) return nullptr;
        auto found = std::find_if(members->rbegin(), members->rend(), [&](const auto& it) { return it.first == name; });
        return found != members->rend() ? &found->second : nullptr;
    }
    static const Json& null() {
        static const Json value;
        return value;
    }
    struct Place;
    void write(std::string& out, const Place* place, int depth) const;
};

namespace detail {

/// The length of the UTF-8 sequence at the front of `text`; 0 where it is none. Half a surrogate pair is one on request.
inline std::size_t utf8_sequence(std::string_view text, bool surrogates) {
    auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    unsigned first = byte(0);
    std::size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    for (std::size_t at = 1; at < size; ++at) {
        if ((byte(at) & 0xc0) != 0x80) return 0;
    }
    bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    bool beyond = first == 0xf4 && byte(1) > 0x8f;
    bool half = first == 0xed && byte(1) > 0x9f;
    return overlong || beyond || (half && !surrogates) ? 0 : size;
}

/// Where a text stops to be UTF-8; its size where it nowhere does.
inline std::size_t utf8_end(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t step = static_cast<unsigned char>(text[at]) < 0x80 ? 1 : utf8_sequence(text.substr(at), false);
        if (step == 0) break;
        at += step;
    }
    return at;
}

/// The double nearest to a spelled number, whatever the locale.
inline double to_double(const std::string& text) {
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc()) return value;
    bool tiny = text.find("e-") != text.npos || text.find("E-") != text.npos || text.find("0.0") < 2;
    return (text[0] == '-' ? -1.0 : 1.0) * (tiny ? 0.0 : HUGE_VAL);
}

/// The shortest spelling of a double that gives it back.
inline std::string spelled(double value) {
    std::array<char, 40> text;
    std::string out(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
    return out.find_first_of(".e") == out.npos ? out + ".0" : out;
}

class JsonReader {
public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    Json document() {
        if (text_.empty()) throw JsonError("it is empty");
        Json result = value();
        space();
        if (at_ < text_.size()) throw wrong("there is more after the value");
        return result;
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;

    Json value() {
        space();
        switch (peek()) {
            case '{': return object();
            case '[': return array();
            case '"': return string();
            case 't': return word("true", true);
            case 'f': return word("false", false);
            case 'n': return word("null", nullptr);
            default: return number();
        }
    }
    Json object() {
        Json::Object members;
        list('}', [&] {
            space();
            if (peek() != '"') throw wrong("a name in quotes is expected");
            std::string name = string();
            space();
            expect(':');
            members.emplace_back(std::move(name), value());
        });
        return members;
    }
    Json array() {
        Json::Array items;
        list(']', [&] { items.push_back(value()); });
        return items;
    }
    template <class F>
    void list(char end, F element) {
        if (++depth_ > Json::max_depth) throw JsonError("it is nested too deeply");
        ++at_;
        space();
        if (!next(end)) {
            do {
                element();
                space();
            } while (next(','));
            expect(end);
        }
        --depth_;
    }

    std::string string() {
        std::string out;
        for (++at_;; escaped(out)) {
            std::size_t start = at_;
            auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
            while (at_ < text_.size() && plain(text_[at_])) ++at_;
            out.append(text_.substr(start, at_ - start));
            if (next('"')) return out;
            if (at_ >= text_.size()) throw wrong("a string does not end");
            if (!next('\\')) throw wrong("a control character stands unescaped in a string");
        }
    }
    void escaped(std::string& out) {
        static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        if (std::size_t found = names.find(peek()); found != names.npos) {
            out += meant[found];
            ++at_;
            return;
        }
        if (!next('u')) throw wrong("there is no such escape");
        unsigned point = unit();
        if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
            std::size_t before = std::exchange(at_, at_ + 2);
            unsigned low = unit();
            bool pair = low >= 0xdc00 && low < 0xe000;
            point = pair ? 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00) : point;
            at_ = pair ? at_ : before;
        }
        int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        static constexpr unsigned leads[] = {0, 0xc0, 0xe0, 0xf0};
        out += static_cast<char>(leads[more] | point >> (6 * more));
        while (more-- > 0) out += static_cast<char>(0x80 | (point >> (6 * more) & 0x3f));
    }
    unsigned unit() {
        unsigned value = 0;
        std::string_view digits = text_.substr(at_, 4);
        auto done = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() < 4 || done.ptr != digits.data() + 4) throw wrong("an escape needs four hexadecimal digits");
        at_ += 4;
        return value;
    }

    Json number() {
        std::size_t start = at_;
        next('-');
        for (std::string_view name : {"NaN", "Infinity"}) {
            if (text_.substr(at_, name.size()) == name) throw wrong(std::string(name) + " is not JSON");
        }
        if (!is_digit()) throw wrong(at_ < text_.size() ? "a value is expected" : "it ends too early");
        if (next('0') && is_digit()) throw wrong("a number begins with a zero");
        while (is_digit()) ++at_;
        std::size_t whole = at_;
        if (next('.')) digits();
        if (next('e') || next('E')) {
            if (!next('+')) next('-');
            digits();
        }
        std::string_view spelled = text_.substr(start, at_ - start);
        const char* end = spelled.data() + spelled.size();
        std::int64_t near = 0;
        std::uint64_t far = 0;
        if (at_ == whole && std::from_chars(spelled.data(), end, near).ec == std::errc()) return near;
        if (at_ == whole && spelled[0] != '-' && std::from_chars(spelled.data(), end, far).ec == std::errc()) return far;
        return Json::Number{std::string(spelled)};
    }
    void digits() {
        if (!is_digit()) throw wrong("a digit is expected");
        while (is_digit()) ++at_;
    }
    Json word(std::string_view word, Json value) {
        if (text_.substr(at_, word.size()) != word) throw wrong("a value is expected");
        at_ += word.size();
        return value;
    }

    void space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
    /// The byte here; at the end one that no UTF-8 has.
    char peek() const { return at_ < text_.size() ? text_[at_] : '\xff'; }
    bool is_digit() const { return peek() >= '0' && peek() <= '9'; }
    bool next(char wanted) {
        bool there = peek() == wanted;
        at_ += there ? 1 : 0;
        return there;
    }
    void expect(char wanted) {
        if (!next(wanted)) throw wrong(at_ < text_.size() ? std::string("`") + wanted + "` is expected" : "it ends too early");
    }
    JsonError wrong(const std::string& complaint) const { return JsonError(complaint + ", at byte " + std::to_string(at_)); }
};

/// Writes a text with its quotes; false where it is not UTF-8.
inline bool quote(std::string& out, std::string_view text) {
    static constexpr std::string_view special = "\"\\\b\t\n\f\r", names = "\"\\btnfr";
    auto unicode = [&](unsigned unit) {
        out += "\\u0000";
        for (std::size_t at = out.size(); unit > 0; unit >>= 4) out[--at] = "0123456789abcdef"[unit & 0xf];
    };
    out += '"';
    for (std::size_t at = 0, size = 0; at < text.size(); at += size) {
        auto byte = [&](std::size_t step) { return static_cast<unsigned>(static_cast<unsigned char>(text[at + step])); };
        size = byte(0) < 0x80 ? 1 : utf8_sequence(text.substr(at), true);
        if (size == 0) return false;
        if (std::size_t found = special.find(text[at]); found != special.npos) {
            out += '\\';
            out += names[found];
        } else if (byte(0) < 0x20) {
            unicode(byte(0));
        } else if (byte(0) == 0xed && byte(1) > 0x9f) {
            unicode(0xd000 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f));
        } else {
            out.append(text.substr(at, size));
        }
    }
    out += '"';
    return true;
}

}  // namespace detail

/// Where in a value the writer stands: a chain that grows with the call stack and is read only for a complaint.
struct Json::Place {
    const Place* up;
    std::string_view name;
    std::size_t index;
    bool named;

    [[noreturn]] static void refuse(const Place* place, const std::string& what) {
        std::string path;
        for (; place != nullptr; place = place->up) {
            path = (place->named ? "." + std::string(place->name) : "[" + std::to_string(place->index) + "]") + path;
        }
        throw JsonError(what + " at $" + path + " is not JSON");
    }
};

inline Json Json::parse(std::string_view text) {
    std::size_t end = detail::utf8_end(text);
    if (end < text.size()) throw JsonError("it is not UTF-8 at byte " + std::to_string(end));
    return detail::JsonReader(text).document();
}

inline std::string Json::dump() const {
    std::string out;
    write(out, nullptr, 0);
    return out;
}

inline void Json::write(std::string& out, const Place* place, int depth) const {
    if (depth > max_depth) throw JsonError("it is nested too deeply");
    auto text = [&](std::string_view value, const Place* where) {
        if (!detail::quote(out, value)) Place::refuse(where, "a text that is not UTF-8");
    };
    if (is<bool>()) {
        out += std::get<bool>(value_) ? "true" : "false";
    } else if (is<std::int64_t>()) {
        out += std::to_string(std::get<std::int64_t>(value_));
    } else if (is<std::uint64_t>()) {
        out += std::to_string(std::get<std::uint64_t>(value_));
    } else if (is<double>()) {
        double value = std::get<double>(value_);
        if (!std::isfinite(value)) Place::refuse(place, std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        out += detail::spelled(value);
    } else if (is<Number>()) {
        out += std::get<Number>(value_).text;
    } else if (is<std::string>()) {
        text(std::get<std::string>(value_), place);
    } else if (is<Array>()) {
        Place step{place, {}, 0, false};
        for (const Json& item : std::get<Array>(value_)) {
            out += step.index == 0 ? '[' : ',';
            item.write(out, &step, depth + 1);
            ++step.index;
        }
        out += step.index == 0 ? "[]" : "]";
    } else if (is<Object>()) {
        char before = '{';
        for (const auto& [name, member] : std::get<Object>(value_)) {
            Place step{place, name, 0, true};
            out += before;
            text(name, place);
            out += ':';
            member.write(out, &step, depth + 1);
            before = ',';
        }
        out += before == '{' ? "{}" : "}";
    } else {
        out += "null";
    }
}

inline double Json::as_double() const {
    if (is<std::int64_t>()) return static_cast<double>(std::get<std::int64_t>(value_));
    if (is<std::uint64_t>()) return static_cast<double>(std::get<std::uint64_t>(value_));
    if (is<Number>()) return detail::to_double(std::get<Number>(value_).text);
    return get<double>("a number");
}

inline std::int64_t Json::as_int() const {
    if (is<std::int64_t>()) return std::get<std::int64_t>(value_);
    double value = as_double();
    if (value != std::floor(value) || std::fabs(value) >= 9223372036854775808.0) {
        throw JsonError("expected an integer of 64 bits, found " + dump());
    }
    return static_cast<std::int64_t>(value);
}

// ---- What a handler throws and returns ------------------------------------------------------------------------------

/// Give this message up: trying again would not help. It goes to the error-end under `code`.
class Fail : public std::runtime_error {
public:
    Fail(std::string its_code, const std::string& message, Json its_details = nullptr)
        : std::runtime_error(message), code(std::move(its_code)), details(std::move(its_details)) {}
    std::string code;
    Json details;
};

/// Try this message again: what went wrong may pass. `after` is the least delay in seconds.
class Retry : public std::runtime_error {
public:
    explicit Retry(const std::string& message, std::optional<double> seconds = {}, std::string its_code = {},
                   Json its_details = nullptr)
        : std::runtime_error(message), after(seconds), code(std::move(its_code)), details(std::move(its_details)) {}
    std::optional<double> after;
    std::string code;
    Json details;
};

/// Nobody waits for this call any more: the sidecar has closed its connection. Thrown by the reports of `Context`. It is no
/// `std::exception`, so that a broad catch does not keep unwanted work going.
struct Canceled {
    std::string why = "the sidecar has closed the connection";
};

/// The runtime cannot start as it was asked to; a process leaves with `exit_code` for this reason.
class StartError : public std::runtime_error {
public:
    static constexpr int config = 78, cannot_create = 73;
    explicit StartError(const std::string& message, int code = config) : std::runtime_error(message), exit_code(code) {}
    int exit_code;
};

/// Exactly one output, whatever the value is: an array that is returned is a fan-out, one output an item.
struct One {
    Json value;
};
/// No output at all. A function that returns nothing, or a null, says the same.
struct Nothing {};

/// What a call has come to; made from anything that a handler may return.
class Result {
public:
    Result(Nothing) {}
    Result(One wrapped) : value(std::move(wrapped.value)), one(true) {}
    template <class T, std::enable_if_t<std::is_constructible_v<Json, T&&> && !std::is_same_v<std::decay_t<T>, Result>, int> = 0>
    Result(T&& json) : value(std::forward<T>(json)) {}
    Json value;
    bool one = false;
};

// ---- The context of a call ------------------------------------------------------------------------------------------

/// A time in UTC; microseconds reach further than the nanoseconds of the system's clock.
using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// The time that an RFC 3339 text names, leap seconds included; nothing for any other text.
std::optional<Time> parse_time(const std::string& text);
/// The RFC 3339 text of a time, with as many of its fraction's digits, in threes, as it needs.
std::string format_time(Time time);

/// What a handler is told about its call, and what it can tell while it works.
///
/// One that a unit test makes keeps what it is told in `reported`.
class Context {
public:
    /// `meta`: any of id, actor, function, attempt, headers, deadline.
    explicit Context(const Json& meta = Json::Object{{"id", "test"}}, const std::string& default_actor = "",
                     std::function<void(const std::string&)> report = nullptr)
        : report_(std::move(report)) {
        auto text = [&](const char* name) { return meta[name].is_string() ? meta[name].as_string() : std::string(); };
        id_ = text("id");
        actor_ = text("actor").empty() ? default_actor : text("actor");
        if (meta["function"].is_string()) function_ = text("function");
        if (meta["attempt"].is_number()) attempt_ = static_cast<std::int64_t>(meta["attempt"].as_double());
        if (meta["headers"].is_object()) headers_ = meta["headers"];
        deadline_ = parse_time(text("deadline"));
    }
    Context(const Context&) = delete;

    /// The message's id, the same along its route, so the same when a message is delivered twice.
    const std::string& id() const { return id_; }
    /// The actor that has the message.
    const std::string& actor() const { return actor_; }
    /// The function that was asked for, where several are served.
    const std::optional<std::string>& function() const { return function_; }
    /// Which attempt at this step this is, from 1.
    std::int64_t attempt() const { return attempt_; }
    /// The message's headers, an object.
    const Json& headers() const { return headers_; }
    /// When the answer is no longer wanted.
    std::optional<Time> deadline() const { return deadline_; }
    /// Seconds until the deadline, never below 0.
    std::optional<double> remaining() const {
        if (!deadline_) return std::nullopt;
        return std::max(0.0, std::chrono::duration<double>(*deadline_ - std::chrono::system_clock::now()).count());
    }
    /// Nobody waits for the answer any more; a long loop looks at this and stops.
    bool canceled() const { return canceled_; }

    /// Reports how far the work is: a percentage, a message, or both. Throws `Canceled`.
    void progress(double percent, std::string_view message) {
        tell(Json::Object{{"status", "progress"}, {"percent", plain(percent)}, {"message", message}});
    }
    void progress(double percent) { tell(Json::Object{{"status", "progress"}, {"percent", plain(percent)}}); }
    void progress(std::string_view message) { tell(Json::Object{{"status", "progress"}, {"message", message}}); }
    /// Streams a piece of the answer to whoever follows the job; it is not routed on. Throws `Canceled`.
    void partial(Json data) { tell(Json::Object{{"status", "partial"}, {"data", std::move(data)}}); }
    /// Says that the work goes on, where an idle timeout is set. Throws `Canceled`.
    void heartbeat() { tell(Json::Object{{"status", "heartbeat"}}); }

    /// Marks the call as canceled, as a closed connection does; in a test, what the handler then meets.
    void cancel() { canceled_ = true; }
    /// The frames that a context made for a test has been told; a real one sends them instead.
    std::vector<Json> reported;

    /// For the runtime: after this nothing is reported, the final frame is the last one of an exchange.
    void end() {
        std::lock_guard<std::mutex> lock(sending_);
        ended_ = true;
    }
    /// A double without a fraction as the integer that it is.
    static Json plain(double value) {
        if (value == std::floor(value) && std::fabs(value) < 1e15) return static_cast<std::int64_t>(value);
        return value;
    }

private:
    std::string id_, actor_;
    std::optional<std::string> function_;
    std::int64_t attempt_ = 1;
    Json headers_ = Json::Object{};
    std::optional<Time> deadline_;
    std::function<void(const std::string&)> report_;
    std::mutex sending_;
    bool ended_ = false;
    std::atomic<bool> canceled_{false};

    void tell(const Json& frame) {
        std::string text = frame.dump();
        std::lock_guard<std::mutex> lock(sending_);
        if (canceled_) throw Canceled{};
        if (ended_) throw std::logic_error("this call has ended: its context cannot report any more");
        if (report_) {
            report_(text);
        } else {
            reported.push_back(frame);
        }
    }
};

/// The answer of a function that streams: `out(piece)` is `context.partial(piece)`.
class Stream {
public:
    explicit Stream(Context& call) : context(call) {}
    void operator()(Json piece) { context.partial(std::move(piece)); }
    Context& context;
};

/// A function under the name that the sidecar asks for it by. It takes the payload, or the payload and a `Context&`, or the
/// payload and a `Stream&`, and is announced as streaming then; it returns what a `Result` is made from, or nothing.
class Function {
public:
    template <class F>
    Function(std::string its_name, F function) : name(std::move(its_name)), streaming(takes<F, Stream> && !takes<F, Context>) {
        call = [function = std::move(function)](const Json& payload, Context& context) mutable -> Result {
            if constexpr (takes<F, Context>) {
                return finish([&] { return function(payload, context); });
            } else if constexpr (takes<F, Stream>) {
                Stream stream(context);
                return finish([&] { return function(payload, stream); });
            } else {
                return finish([&] { return function(payload); });
            }
        };
    }
    std::string name;
    bool streaming;
    std::function<Result(const Json&, Context&)> call;

private:
    template <class F, class Second>
    static constexpr bool takes = std::is_invocable_v<F&, const Json&, Second&>;
    template <class F>
    static Result finish(F function) {
        if constexpr (std::is_void_v<decltype(function())>) {
            function();
            return Nothing{};
        } else {
            return function();
        }
    }
};

/// What may be set in code; an empty socket and a concurrency of 0 mean what the environment says.
struct Options {
    std::string socket = {};
    int concurrency = 0;
    std::size_t max_frame = std::size_t{256} << 20;
};

// ---- The runtime ----------------------------------------------------------------------------------------------------

namespace detail {

inline void note(const std::string& text) {
    std::string line = "outrigger: " + text + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
}
inline std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}
inline std::optional<int> whole_number(const std::string& text) {
    int value = 0;
    auto done = std::from_chars(text.data(), text.data() + text.size(), value);
    return done.ec == std::errc() && done.ptr == text.data() + text.size() ? std::optional<int>(value) : std::nullopt;
}
inline void close_on_exec(int descriptor) { ::fcntl(descriptor, F_SETFD, FD_CLOEXEC); }
inline void do_not_block(int descriptor) { ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

// -- Frames: a big-endian u32 length, then that many bytes; bit 31 of the length marks a control frame.

/// The peer has closed, or sent what the protocol does not have; the connection is given up. Empty where there is nothing
/// to say of it.
struct GivenUp {
    std::string why;
};

struct Frame {
    bool control = false;
    std::string text;
    std::string problem;
    std::size_t unread = 0;
};

constexpr std::uint32_t control_bit = 0x80000000;
constexpr std::size_t chunk = 64 * 1024;

class Reader {
public:
    Reader(int socket, std::size_t cap) : socket_(socket), cap_(cap), held_(chunk, '\0') {}

    /// The next frame; none when the peer closed between two.
    std::optional<Frame> read() {
        std::array<char, 4> head;
        std::size_t got = take(head.data(), head.size());
        if (got == 0) return std::nullopt;
        if (got < head.size()) throw GivenUp{"the connection ended " + std::to_string(got) + " bytes into a frame's length"};
        std::uint32_t word = 0;
        for (char byte : head) word = word << 8 | static_cast<unsigned char>(byte);
        Frame frame;
        frame.control = (word & control_bit) != 0;
        std::size_t size = word & ~control_bit;
        if (size > cap_) {
            frame.problem = "a frame of " + std::to_string(size) + " bytes is more than the cap of " + std::to_string(cap_);
            frame.unread = size;
            return frame;
        }
        frame.text.resize(size);
        got = take(frame.text.data(), size);
        if (got < size) {
            throw GivenUp{"the connection ended " + std::to_string(got) + " bytes into a frame of " + std::to_string(size)};
        }
        std::size_t end = utf8_end(frame.text);
        if (end < size) frame.problem = "the frame is not UTF-8 at byte " + std::to_string(end);
        return frame;
    }

    /// Passes over a part of the stream that is not wanted.
    void skip(std::size_t size) {
        std::string scrap(std::min(size, chunk), '\0');
        while (size > 0) {
            std::size_t got = take(scrap.data(), std::min(size, scrap.size()));
            if (got == 0) throw GivenUp{"the connection ended " + std::to_string(size) + " bytes before the end of a frame"};
            size -= got;
        }
    }

private:
    int socket_;
    std::size_t cap_;
    std::string held_;
    std::size_t start_ = 0, end_ = 0;

    /// Reads `size` bytes, fewer only at the end of the stream; a large rest goes straight to its place.
    std::size_t take(char* out, std::size_t size) {
        std::size_t got = 0;
        while (got < size) {
            if (start_ < end_) {
                std::size_t step = std::min(size - got, end_ - start_);
                std::memcpy(out + got, held_.data() + start_, step);
                start_ += step;
                got += step;
                continue;
            }
            bool direct = size - got >= chunk;
            ssize_t count = ::recv(socket_, direct ? out + got : held_.data(), direct ? size - got : chunk, 0);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) throw GivenUp{};
            if (count == 0) break;
            if (direct) {
                got += static_cast<std::size_t>(count);
            } else {
                start_ = 0;
                end_ = static_cast<std::size_t>(count);
            }
        }
        return got;
    }
};

/// Writes one frame, the body in parts; false where the peer has gone.
inline bool send_frame(int socket, const std::vector<std::string_view>& parts, bool control = false) {
    std::size_t size = 0;
    for (std::string_view part : parts) size += part.size();
    auto word = static_cast<std::uint32_t>(size) | (control ? control_bit : 0);
    std::array<char, 4> head;
    for (std::size_t at = 0; at < 4; ++at) head[at] = static_cast<char>(word >> (24 - 8 * at) & 0xff);
    std::vector<iovec> left{{head.data(), head.size()}};
    for (std::string_view part : parts) left.push_back({const_cast<char*>(part.data()), part.size()});
    for (std::size_t first = 0; first < left.size();) {
        msghdr message{};
        message.msg_iov = &left[first];
        message.msg_iovlen = left.size() - first;
        ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        for (auto count = static_cast<std::size_t>(sent); first < left.size() && count >= left[first].iov_len; ++first) {
            count -= left[first].iov_len;
            sent = static_cast<ssize_t>(count);
        }
        if (first < left.size()) {
            left[first].iov_base = static_cast<char*>(left[first].iov_base) + sent;
            left[first].iov_len -= static_cast<std::size_t>(sent);
        }
    }
    return true;
}

// -- Replies: an answer can always be written; what has no JSON becomes an error that says so.

inline std::string refusal(const std::string& code, const std::string& message) {
    return Json(Json::Object{{"status", "error"}, {"error", code}, {"message", message}, {"retryable", false}}).dump();
}

inline std::string ok(const Result& result, std::size_t cap) {
    if (result.value.is_null() && !result.one) return R"({"status":"ok"})";
    std::string frame;
    try {
        frame = R"({"status":"ok","result":)";
        frame += (result.one ? "[" : "") + result.value.dump() + (result.one ? "]}" : "}");
    } catch (const JsonError& error) {
        return refusal("invalid_result", std::string("the handler's result cannot be sent: ") + error.what());
    }
    if (frame.size() <= cap) return frame;
    return refusal("result_too_large", "the handler's result makes a frame of " + std::to_string(frame.size()) +
                                           " bytes, more than the cap of " + std::to_string(cap));
}

/// A type's name as it stands in the source.
inline std::string type_name(const std::type_info* type) {
    if (type == nullptr) return "unknown";
#if defined(__GNUG__)
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
    if (status == 0) return name.get();
#endif
    return type->name();
}

/// What people may have thrown at a message, as UTF-8 and not without end.
inline std::string presentable(std::string text) {
    constexpr std::size_t limit = 16 * 1024;
    if (text.size() > limit) {
        std::string note = "\n... " + std::to_string(text.size() - limit) + " characters left out ...\n";
        text = text.substr(0, limit / 2) + note + text.substr(text.size() - limit / 2);
    }
    for (std::size_t end = utf8_end(text); end < text.size(); end = utf8_end(text)) text[end] = '?';
    return text;
}

/// The final frame of the exception at hand.
inline std::string failed(std::size_t cap) {
    std::string code, message;
    Json details, retryable, after;
    const std::type_info* type = nullptr;
#if defined(__GNUG__)
    type = abi::__cxa_current_exception_type();
#endif
    try {
        throw;
    } catch (const Fail& error) {
        code = error.code, message = error.what(), details = error.details, retryable = false;
    } catch (const Retry& error) {
        code = error.code, message = error.what(), details = error.details, retryable = true;
        if (error.after) after = Context::plain(*error.after);
    } catch (const Canceled& error) {
        message = error.why;
    } catch (const std::exception& error) {
        message = error.what();
    } catch (const std::string& text) {
        message = text;
    } catch (const char* text) {
        message = text;
    } catch (...) {
        message = "an exception that is no std::exception";
    }
    if (message.find_first_not_of(" \t\r\n") == message.npos) message = type_name(type);
    try {
        (void)details.dump();
    } catch (const JsonError& error) {
        details = error.what();
    }
    Json frame = Json::Object{{"status", "error"}};
    if (!code.empty()) frame.set("error", presentable(code));
    frame.set("message", presentable(message)).set("type", type_name(type));
    if (!retryable.is_null()) frame.set("retryable", retryable);
    if (!after.is_null()) frame.set("retry_after", after);
    if (!details.is_null()) frame.set("details", details);
    for (const char* luxury : {"details", "message"}) {
        if (frame.contains(luxury) && frame.dump().size() > cap) {
            frame.set(luxury, "left out: the frame would be over the cap of " + std::to_string(cap) + " bytes");
        }
    }
    return frame.dump();
}

/// `limit` places for running calls. A call whose sidecar has gone keeps its place until it really ends: a function cannot
/// be stopped from outside. While such calls fill every place a ping waits: the process is alive and yet cannot serve.
class Slots {
public:
    explicit Slots(int limit) : limit_(limit) {}

    /// Waits for a place and takes it; false when the call was canceled meanwhile.
    bool enter(Context& context) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return context.canceled() || running_.size() < static_cast<std::size_t>(limit_); });
        if (!context.canceled()) running_.push_back(&context);
        return !context.canceled();
    }
    void leave(Context& context) {
        std::lock_guard<std::mutex> lock(mutex_);
        running_.erase(std::remove(running_.begin(), running_.end(), &context), running_.end());
        changed_.notify_all();
    }
    /// Returns once a place is free or held by a call that somebody waits for, or when `given_up`.
    void wait_serving(const std::atomic<bool>& given_up) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] {
            auto abandoned = std::count_if(running_.begin(), running_.end(), [](Context* it) { return it->canceled(); });
            return given_up || abandoned < limit_;
        });
    }
    /// Makes everyone who waits look again.
    void wake() {
        std::lock_guard<std::mutex> lock(mutex_);
        changed_.notify_all();
    }

private:
    int limit_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Context*> running_;
};

/// A listening socket and its file: made so that only its owner can ever connect, and taken away only by whoever made it.
class SocketFile {
public:
    static constexpr std::size_t max_path = 100;

    explicit SocketFile(const std::string& path) {
        if (path.size() > max_path) {
            throw StartError("the socket's path has " + std::to_string(path.size()) + " bytes, at most " +
                             std::to_string(max_path) + " are possible: " + path);
        }
        address_.sun_family = AF_UNIX;
        std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
        make_room();
        descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
        mode_t mask = ::umask(0177);
        bool bound = ::bind(descriptor, address(), sizeof address_) == 0;
        int error = errno;
        ::umask(mask);
        if (!bound || ::listen(descriptor, 128) != 0 || !identify(device_, node_)) {
            ::close(descriptor);
            throw StartError("cannot make the socket " + path + ": " + std::strerror(error), StartError::cannot_create);
        }
        close_on_exec(descriptor);
        do_not_block(descriptor);
    }
    ~SocketFile() { close(); }
    SocketFile(const SocketFile&) = delete;

    /// Removes the file, unless somebody else's stands there by now. For a signal handler too.
    void remove() const {
        dev_t device = 0;
        ino_t node = 0;
        if (identify(device, node) && device == device_ && node == node_) ::unlink(address_.sun_path);
    }
    /// Stops listening and removes the file.
    void close() {
        if (descriptor < 0) return;
        remove();
        ::close(descriptor);
        descriptor = -1;
    }
    int descriptor = -1;

private:
    sockaddr_un address_{};
    dev_t device_ = 0;
    ino_t node_ = 0;

    const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
    bool identify(dev_t& device, ino_t& node) const {
        struct stat status {};
        if (::lstat(address_.sun_path, &status) != 0) return false;
        device = status.st_dev, node = status.st_ino;
        return true;
    }
    /// Removes what a process that is no more has left; refuses where anything else stands.
    void make_room() {
        std::string path = address_.sun_path;
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) return;
        if (!S_ISSOCK(status.st_mode)) {
            throw StartError(path + " exists and is not a socket: remove it, or choose another path", StartError::cannot_create);
        }
        int probe = ::socket(AF_UNIX, SOCK_STREAM, 0);
        do_not_block(probe);
        int error = ::connect(probe, address(), sizeof address_) == 0 ? 0 : errno;
        ::close(probe);
        if (error == ECONNREFUSED) {
            ::unlink(path.c_str());
        } else if (error == 0 || error == EAGAIN) {  // A full backlog: alive, and busy.
            throw StartError("another process is serving on " + path + ": stop it, or choose another path",
                             StartError::cannot_create);
        } else {
            throw StartError("cannot use the socket " + path + ": " + std::strerror(error), StartError::cannot_create);
        }
    }
};

/// Leaves when the parent has gone: an inherited pipe reads its end, however the parent died.
inline void hold_lifeline() {
    static constexpr const char* variable = "OUTRIGGER_HANDLER_LIFELINE";
    std::string text = environment(variable);
    if (text.empty()) return;
    ::unsetenv(variable);
    int pipe = whole_number(text).value_or(-1);
    if (pipe < 0 || ::fcntl(pipe, F_GETFD) < 0) {
        throw StartError(variable + ("=" + text) + " is not the number of an open file descriptor");
    }
    if (pipe == 0) {  // A handler that reads its input is not to take the pipe away.
        pipe = ::dup(0);
        int empty = ::open("/dev/null", O_RDONLY);
        ::dup2(empty, 0);
        ::close(empty);
    }
    close_on_exec(pipe);
    std::thread([pipe] {
        std::array<char, 4096> ignored;
        for (ssize_t got = 1; got > 0 || (got < 0 && errno == EINTR);) got = ::read(pipe, ignored.data(), ignored.size());
        note("the parent process has gone, leaving");
        // Where the group is ours alone, what the handler has started is not to outlive it.
        if (::getpgrp() == ::getpid()) ::killpg(0, SIGKILL);
        ::_exit(1);
    }).detach();
}

/// SIGTERM and SIGINT while a server runs: the first rings its bell, any second one ends the process.
class Signals {
public:
    explicit Signals(int bell) {
        first = 0, bell_ = bell, owner_ = ::getpid();
        struct sigaction action {};
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGTERM, &action, &term_);
        ::sigaction(SIGINT, &action, &int_);
    }
    ~Signals() {
        ::sigaction(SIGTERM, &term_, nullptr);
        ::sigaction(SIGINT, &int_, nullptr);
        file = nullptr;
    }
    Signals(const Signals&) = delete;

    inline static std::atomic<int> first{0};
    inline static std::atomic<const SocketFile*> file{nullptr};

private:
    struct sigaction term_ {}, int_ {};
    inline static std::atomic<int> bell_{-1};
    inline static std::atomic<pid_t> owner_{0};

    static void on_signal(int number) {
        int error = errno;
        int none = 0;
        if (::getpid() != owner_) {  // A child that a handler forked is no second server.
            ::signal(number, SIG_DFL);
            ::raise(number);
        } else if (first.compare_exchange_strong(none, number)) {
            (void)!::write(bell_, "", 1);
        } else {
            if (const SocketFile* made = file) made->remove();
            ::_exit(128 + number);
        }
        errno = error;
    }
};

/// What all connections of a server share.
struct Shared {
    std::vector<Function> functions;
    Slots slots;
    std::string actor;
    std::size_t max_frame;
    int bell[2] = {-1, -1};

    ~Shared() { ::close(bell[0]), ::close(bell[1]); }
    void ring() const { (void)!::write(bell[1], "", 1); }
    std::string names() const {
        std::string all;
        for (const Function& function : functions) all += (all.empty() ? "" : ", ") + function.name;
        return all;
    }
    /// One function alone serves every request, whatever name it asks for.
    Function* select(const std::optional<std::string>& name) {
        if (functions.size() == 1) return &functions[0];
        auto found = std::find_if(functions.begin(), functions.end(), [&](const Function& it) { return it.name == name; });
        return found != functions.end() ? &*found : nullptr;
    }
};

/// One connection of a sidecar: hello, pings, and one exchange after the other, on a thread of its own, which calls the
/// function itself. That the peer has gone while a call runs is noticed by the server, which watches all connections.
class Connection {
public:
    Connection(int accepted, std::shared_ptr<Shared> shared) : socket(accepted), shared_(std::move(shared)) {}
    ~Connection() { ::close(socket); }
    Connection(const Connection&) = delete;

    void run() {
        try {
            serve();
        } catch (const GivenUp& reason) {
            if (!closing_ && !reason.why.empty()) note("a connection was given up: " + reason.why);
        } catch (const std::exception& error) {
            note(std::string("a connection was given up: ") + error.what());
        }
        hang_up();
        ::shutdown(socket, SHUT_RDWR);
        ended = true;
        shared_->ring();
    }
    /// The peer has gone: what it asked for is canceled.
    void hang_up() {
        std::lock_guard<std::mutex> lock(mutex_);
        gone_ = true;
        if (context_ != nullptr) context_->cancel();
        shared_->slots.wake();
    }
    /// Ends the connection after the exchange that runs on it; at once where none does.
    void close_when_idle() {
        std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
        if (context_ == nullptr) ::shutdown(socket, SHUT_RDWR);
    }
    const int socket;
    /// The handler's code runs; what comes after it ends soon.
    std::atomic<bool> calling{false};
    std::atomic<bool> ended{false};

private:
    std::shared_ptr<Shared> shared_;
    std::mutex mutex_;
    Context* context_ = nullptr;
    Json meta_;
    std::atomic<bool> gone_{false}, closing_{false};

    void serve() {
        int size = 4 * 1024 * 1024;
        ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        Json::Array functions;
        for (const Function& function : shared_->functions) {
            Json::Array args{Json::Object{{"name", "payload"}}};
            functions.push_back(Json::Object{{"name", function.name}, {"args", args}});
            if (function.streaming) functions.back().set("streaming", true);
        }
        control(Json::Object{{"hello", Json::Object{{"protocol", 1}, {"functions", functions}}}});
        Reader reader(socket, shared_->max_frame);
        while (!closing_) {
            std::optional<Frame> frame = reader.read();
            if (!frame) return;
            std::size_t unread = frame->unread;
            if (frame->control) {
                on_control(*frame);
            } else {
                exchange(std::move(*frame));
            }
            reader.skip(unread);
        }
    }

    void on_control(const Frame& frame) {
        if (!frame.problem.empty()) throw GivenUp{frame.problem};
        Json body;
        try {
            body = Json::parse(frame.text);
        } catch (const JsonError& error) {
            throw GivenUp{std::string("a control frame is not JSON: ") + error.what()};
        }
        if (!body.is_object()) throw GivenUp{"a control frame is not a JSON object"};
        if (body.contains("ping")) {
            shared_->slots.wait_serving(gone_);
            control(Json::Object{{"pong", body["ping"]}});
        } else if (body.contains("meta")) {
            if (!body["meta"].is_object()) throw GivenUp{"the meta of a control frame is not a JSON object"};
            meta_ = body["meta"];
        }
        // Any other control frame is from a protocol to come, which says itself what may be passed over.
    }

    void exchange(Frame frame) {
        Context context(std::exchange(meta_, nullptr), shared_->actor, [&](const std::string& text) { report(text); });
        {
            std::lock_guard<std::mutex> lock(mutex_);
            if (gone_ || closing_) return;
            context_ = &context;
        }
        std::string reply = answer(std::move(frame), context);
        context.end();
        bool sent = context.canceled() || send_frame(socket, {reply});
        std::lock_guard<std::mutex> lock(mutex_);
        context_ = nullptr;
        if (!sent) throw GivenUp{};
    }

    std::string answer(Frame frame, Context& context) {
        if (!frame.problem.empty()) return refusal(frame.unread > 0 ? "frame_too_large" : "invalid_request", frame.problem);
        Json payload;
        try {
            payload = JsonReader(frame.text).document();
        } catch (const JsonError& error) {
            return refusal("invalid_request", std::string("the request is not JSON: ") + error.what());
        }
        std::string().swap(frame.text);
        Function* function = shared_->select(context.function());
        if (function == nullptr) {
            std::string asked = "no function was named";
            if (context.function()) asked = "there is no function `" + *context.function() + "` here";
            return refusal("unknown_function", asked + "; this handler serves " + shared_->names());
        }
        if (!shared_->slots.enter(context)) return {};
        std::string reply;
        calling = true;
        try {
            reply = ok(function->call(payload, context), shared_->max_frame);
        } catch (...) {  // Whatever it is, it is this message's failure and not its neighbours'.
            reply = failed(shared_->max_frame);
        }
        calling = false;
        shared_->slots.leave(context);
        return reply;
    }

    void report(const std::string& text) {
        if (text.size() > shared_->max_frame) {
            throw std::length_error("a report of " + std::to_string(text.size()) + " bytes is more than the cap of " +
                                    std::to_string(shared_->max_frame));
        }
        if (send_frame(socket, {text})) return;
        hang_up();
        throw Canceled{};
    }
    void control(const Json& body) {
        if (!send_frame(socket, {body.dump()}, true)) throw GivenUp{};
    }
};

/// Listens, watches every connection for its peer's going, and stops in order. The first SIGTERM stops accepting and serves
/// on until the peers have closed; SIGINT ends idle connections and finishes what runs; a second signal ends at once.
class Server {
public:
    Server(std::shared_ptr<Shared> shared, int concurrency) : shared_(std::move(shared)), concurrency_(concurrency) {}

    /// Serves until a signal asks for the end and the last connection has gone; how many calls still run that nobody waits
    /// for any more.
    int run(const std::string& path) {
        Signals signals(shared_->bell[1]);  // Whoever finds the socket may already send a signal.
        SocketFile file(path);
        Signals::file = &file;
        note("serving " + shared_->names() + " on " + path + ", " + std::to_string(concurrency_) + " at once");
        while (file.descriptor >= 0 || !watched_.empty()) turn(file);
        int abandoned = 0;
        for (auto& [connection, thread] : threads_) {
            if (connection->calling) {
                thread.detach();
                ++abandoned;
            } else {
                thread.join();
            }
        }
        Signals::file = nullptr;
        return abandoned;
    }

private:
    std::shared_ptr<Shared> shared_;
    int concurrency_;
    std::vector<std::shared_ptr<Connection>> watched_;
    std::vector<std::pair<std::shared_ptr<Connection>, std::thread>> threads_;

    /// Waits for one thing to happen: a new peer, a peer's end, a connection's end, a signal.
    void turn(SocketFile& file) {
        std::vector<pollfd> places{{shared_->bell[0], POLLIN, 0}};
        for (const auto& connection : watched_) places.push_back({connection->socket, 0, 0});  // Its end is always told.
        if (file.descriptor >= 0) places.push_back({file.descriptor, POLLIN, 0});
        if (::poll(places.data(), places.size(), -1) < 0) return;
        std::array<char, 256> rings;
        if (places[0].revents != 0) (void)!::read(shared_->bell[0], rings.data(), rings.size());
        std::size_t at = 0;
        watched_.erase(std::remove_if(watched_.begin(), watched_.end(), [&](const auto& connection) {
            if (places[++at].revents != 0) connection->hang_up();
            return places[at].revents != 0 || connection->ended;
        }), watched_.end());
        collect();
        if (file.descriptor >= 0 && places.back().revents != 0) accept(file);
        if (file.descriptor >= 0 && Signals::first != 0) stop(file);
    }

    void collect() {
        for (auto& [connection, thread] : threads_) {
            if (connection->ended) thread.join();
        }
        auto joined = [](const auto& it) { return !it.second.joinable(); };
        threads_.erase(std::remove_if(threads_.begin(), threads_.end(), joined), threads_.end());
    }

    void accept(const SocketFile& file) {
        int socket = ::accept(file.descriptor, nullptr, nullptr);
        if (socket < 0) {
            if (errno != EMFILE && errno != ENFILE) return;  // A peer that had gone again before it was taken in.
            note("too many open files, accepting no connection for now");
            pollfd bell{shared_->bell[0], POLLIN, 0};
            ::poll(&bell, 1, 1000);
            return;
        }
        close_on_exec(socket);
        ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK);
        auto connection = std::make_shared<Connection>(socket, shared_);
        try {
            threads_.emplace_back(connection, std::thread([connection] { connection->run(); }));
            watched_.push_back(connection);
        } catch (const std::system_error& error) {
            note(std::string("a connection was given up: no thread for it: ") + error.what());
        }
    }

    void stop(SocketFile& file) {
        Signals::file = nullptr;
        file.close();
        if (!watched_.empty()) note("stopping when its " + std::to_string(watched_.size()) + " connections are closed");
        if (Signals::first != SIGINT) return;
        for (const auto& connection : watched_) connection->close_when_idle();
    }
};

inline int concurrency(int given) {
    static constexpr const char* variable = "OUTRIGGER_HANDLER_CONCURRENCY";
    std::string text = environment(variable);
    if (given == 0) {
        std::optional<int> told = whole_number(text.empty() ? "1" : text);
        if (!told) throw StartError(variable + ("=" + text) + " is not a whole number");
        given = *told;
    }
    if (given < 1) throw StartError("a concurrency of " + std::to_string(given) + " would serve nothing: it is 1 or more");
    return given;
}

}  // namespace detail

/// Serves functions until SIGTERM or SIGINT, and until all that was in flight has been answered. Returns how many calls
/// still run that nobody waits for any more, on threads of their own. Throws `StartError`.
inline int listen(std::vector<Function> functions, const Options& options = {}) {
    detail::hold_lifeline();
    std::vector<std::string> names;
    for (const Function& function : functions) {
        if (std::find(names.begin(), names.end(), function.name) != names.end()) {
            throw StartError("two functions have the name " + function.name);
        }
        names.push_back(function.name);
    }
    if (names.empty()) throw StartError("there is nothing to serve: name at least one function");
    std::string path = options.socket.empty() ? detail::environment("OUTRIGGER_HANDLER_SOCKET") : options.socket;
    if (path.empty()) {
        throw StartError("no socket to serve on: `outrigger up` sets OUTRIGGER_HANDLER_SOCKET; by hand, give its path");
    }
    int limit = detail::concurrency(options.concurrency);
    // What a handler prints shows at once, also where it goes to a pipe.
    std::fflush(stdout);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    std::shared_ptr<detail::Shared> shared(new detail::Shared{
        std::move(functions), detail::Slots(limit), detail::environment("OUTRIGGER_ACTOR"), options.max_frame, {-1, -1}});
    if (::pipe(shared->bell) != 0) throw StartError(std::string("cannot make a pipe: ") + std::strerror(errno));
    for (int end : shared->bell) detail::close_on_exec(end), detail::do_not_block(end);
    return detail::Server(shared, limit).run(path);
}

/// Serves functions as a program's whole work: returns what `main` is to return. Where it cannot start it says why.
inline int serve(std::vector<Function> functions, const Options& options = {}) {
    try {
        if (listen(std::move(functions), options) == 0) return 0;
    } catch (const StartError& error) {
        detail::note(error.what());
        return error.exit_code;
    }
    // What still runs uses what `main` would now take away.
    std::fflush(nullptr);
    std::_Exit(0);
}

/// Serves one function.
template <class F, std::enable_if_t<!std::is_convertible_v<F, std::vector<Function>>, int> = 0>
int serve(F function, const Options& options = {}) {
    return serve(std::vector<Function>{Function("process", std::move(function))}, options);
}

inline std::optional<Time> parse_time(const std::string& text) {
    auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    auto number = [&](std::size_t at, std::size_t size) { return std::stoi(text.substr(at, size)); };
    static constexpr std::string_view form = "0000-00-00T00:00:00";
    for (std::size_t at = 0; at < form.size(); ++at) {
        if (at >= text.size()) return {};
        bool same = text[at] == form[at] || (form[at] == 'T' && (text[at] == 't' || text[at] == ' '));
        if (form[at] == '0' ? !digit(at) : !same) return {};
    }
    std::size_t at = form.size();
    std::int64_t micros = 0;
    if (at < text.size() && text[at] == '.') {
        if (!digit(++at)) return {};
        for (std::int64_t worth = 100000; digit(at); ++at, worth /= 10) micros += worth * (text[at] - '0');
    }
    int offset = 0;
    if (std::string zone = text.substr(at); zone != "Z" && zone != "z") {
        if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return {};
        for (std::size_t place : {1U, 2U, 4U, 5U}) {
            if (!digit(at + place)) return {};
        }
        if (number(at + 1, 2) > 23 || number(at + 4, 2) > 59) return {};
        offset = (number(at + 1, 2) * 60 + number(at + 4, 2)) * (zone[0] == '-' ? -1 : 1);
    }
    std::tm parts{};
    parts.tm_year = number(0, 4) - 1900, parts.tm_mon = number(5, 2) - 1, parts.tm_mday = number(8, 2);
    parts.tm_hour = number(11, 2), parts.tm_min = number(14, 2);
    std::tm asked = parts;
    std::int64_t minutes = ::timegm(&parts) / 60 - offset;
    // A thirtieth of February, or a 25th hour, would have become another time.
    bool became_another = parts.tm_mon != asked.tm_mon || parts.tm_mday != asked.tm_mday || parts.tm_hour != asked.tm_hour;
    if (became_another || asked.tm_min > 59 || number(17, 2) > 60) return {};
    return Time(std::chrono::microseconds((minutes * 60 + number(17, 2)) * 1000000 + micros));
}

inline std::string format_time(Time time) {
    std::int64_t micros = time.time_since_epoch().count();
    std::int64_t seconds = (micros < 0 ? micros - 999999 : micros) / 1000000;
    auto fraction = static_cast<int>(micros - seconds * 1000000);
    std::time_t whole = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&whole, &parts);
    std::array<char, 64> text;
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::string out = text.data();
    if (fraction != 0) {
        bool millis = fraction % 1000 == 0;
        std::snprintf(text.data(), text.size(), millis ? ".%03d" : ".%06d", millis ? fraction / 1000 : fraction);
        out += text.data();
    }
    return out + "Z";
}

}  // namespace outrigger
