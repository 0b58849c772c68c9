// Reading and writing of JSON, and of times, checked without a socket; leaves with 1 where something is not as it must be.
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>

#include "outrigger.hpp"

namespace {

using outrigger::Json;
using outrigger::JsonError;

int failures = 0;

template <class A, class B>
void check(const std::string& what, const A& expected, const B& found) {
    if (!(expected == found)) {
        ++failures;
        std::cout << what << ": expected " << expected << ", found " << found << "\n";
    }
}

template <class F>
void complains(const std::string& expected, F action) {
    try {
        action();
        check("complaint", expected, std::string("none"));
    } catch (const JsonError& error) {
        check("complaint", expected, std::string(error.what()));
    }
}

std::string repeated(const std::string& text, int times) {
    std::string out;
    for (int n = 0; n < times; ++n) out += text;
    return out;
}

void same_again() {
    for (const std::string& text : {
             std::string("null"), std::string("true"), std::string("[]"), std::string("{}"), std::string("\"\""),
             std::string("[1,-2,0.5,true,false,null]"), std::string(R"({"z":{"b":[{}]},"a":1})"),
             std::string(R"("\"\\\b\f\n\r\t\u0000\u001f")"), std::string(R"("\ud800x\udc00")"),
             std::string("\"\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\xef\xbf\xbf\""),
             std::string("9223372036854775807"), std::string("-9223372036854775808"), std::string("18446744073709551615"),
             std::string("18446744073709551616"), std::string("-9223372036854775809"), std::string("1.10"), std::string("1E+400"),
             std::string("-0.0"), std::string("1e-7"), repeated("[", 1000) + repeated("]", 1000),
         }) {
        check(text.substr(0, 60), text, Json::parse(text).dump());
    }
    check("spaces", std::string("[1,{\"a\":2}]"), Json::parse(" \t\r\n[ 1 , { \"a\" : 2 } ] ").dump());
    check("escapes", std::string("\"A/\xf0\x9f\x98\x80\""), Json::parse(R"("\u0041\/\ud83d\ude00")").dump());
    check("two halves", std::string(R"("\ud83dx\ude00")"), Json::parse(R"("\ud83dx\ude00")").dump());
    check("high, high, low", std::string("\"\\ud800\xf0\x90\x80\x80\""), Json::parse(R"("\ud800\ud800\udc00")").dump());
}

void refused() {
    for (const char* text : {
             "", " ", "nul", "nulls", "True", "NaN", "-NaN", "Infinity", "-Infinity", "+1", "01", "-01", "-", "1.", ".5", "1.e1", "1e",
             "1e+", "0x10", "1 2", "[1] 2", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1",
             "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{'a':1}", "{1:2}", "{\"a\" 1}", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12",
             "\"\\u12g4\"", "\"\\ud800\\u\"", "\"\n\"", "'a'", "/* */1", "1//", "\xef\xbb\xbf" "1", "\xc2\xa0" "1", "\xff", "\"\xff\"",
             "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xe2\x82\"", "\"\xf5\x80\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xf4\x90\x80\x80\"",
         }) {
        try {
            check(std::string("refused: ") + text, std::string("an exception"), Json::parse(text).dump());
        } catch (const JsonError& error) {
            check("a message", false, std::string(error.what()).empty());
        }
    }
    complains("it is nested too deeply", [] { Json::parse(repeated("[", 1001) + repeated("]", 1001)); });
    complains("it is nested too deeply", [] { Json::parse(repeated("{\"a\":", 100000)); });
    complains("it is not UTF-8 at byte 2", [] { Json::parse("\"a\xe2\x82\""); });
    complains("a string does not end, at byte 2", [] { Json::parse("\"a"); });
    complains("a control character stands unescaped in a string, at byte 1", [] { Json::parse(std::string("\"\0\"", 3)); });
}

void written() {
    check("doubles", std::string("[1.0,-0.0,0.1,1e+300,5e-324,1e+21]"),
          Json(Json::Array{1.0, -0.0, 0.1, 1e300, 5e-324, 1e21}).dump());
    check("integers", std::string("[-1,200,18446744073709551615,true]"),
          Json(Json::Array{static_cast<signed char>(-1), static_cast<unsigned char>(200), UINT64_MAX, true}).dump());
    complains("nan at $.a[1] is not JSON", [] { (void)Json(Json::Object{{"a", Json::Array{1, std::nan("")}}}).dump(); });
    complains("-inf at $ is not JSON", [] { (void)Json(-HUGE_VAL).dump(); });
    complains("a text that is not UTF-8 at $[0].b is not JSON", [] { (void)Json(Json::Array{Json::Object{{"b", "\xff"}}}).dump(); });
    complains("a text that is not UTF-8 at $ is not JSON", [] { (void)Json(Json::Object{{"\xff", 1}}).dump(); });
    Json deep;
    for (int n = 0; n < 1001; ++n) deep = Json::Array{std::move(deep)};
    complains("it is nested too deeply", [&] { (void)deep.dump(); });
}

void access() {
    const Json value = Json::parse(R"({"a":1,"a":2,"list":[1,"x"],"big":18446744073709551616,"half":0.5,"whole":5e0})");
    check("the last of a name", 2, value["a"].as_int());
    check("missing", true, value["none"]["deeper"][3].is_null());
    check("items", std::string("x"), value["list"][1].as_string());
    check("sizes", std::size_t{8}, value.size() + value["list"].size() + value["half"].size());
    check("a number of any size", 18446744073709551616.0, value["big"].as_double());
    check("whole", 5, value["whole"].as_int());
    check("there", true, value.contains("half") && !value.contains("quarter"));
    complains("expected a string, found a number", [&] { (void)value["a"].as_string(); });
    complains("expected a number, found an array", [&] { (void)value["list"].as_double(); });
    complains("expected an integer of 64 bits, found 0.5", [&] { (void)value["half"].as_int(); });
    complains("expected an integer of 64 bits, found 18446744073709551616", [&] { (void)value["big"].as_int(); });
    complains("there is no member `none`", [&] { (void)value.at("none"); });
    Json built;
    built.set("a", 1).set("b", Json().push("x").push(nullptr)).set("a", Json::Object{});
    check("built", std::string(R"({"a":{},"b":["x",null]})"), built.dump());
    complains("expected an array, found an object", [&] { built.push(1); });
    check("equal", true, Json::parse("[1,1.5]") == Json(Json::Array{1, Json::Number{"1.5"}}) && Json(1) != Json(2));
    check("huge", true, std::isinf(Json::parse("-1e999").as_double()) && Json::parse("1e-999").as_double() == 0.0);
}

void times() {
    using outrigger::format_time;
    using outrigger::parse_time;
    for (auto [text, expected] : std::vector<std::pair<std::string, std::string>>{
             {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
             {"2024-02-29t23:59:60.5z", "2024-03-01T00:00:00.500Z"},
             {"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"},
             {"9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59Z"},
             {"0000-01-01 00:00:00-00:01", "0000-01-01T00:01:00Z"},
         }) {
        auto time = parse_time(text);
        std::string found = time ? format_time(*time) : "nothing";
        check(text, expected, found.size() < expected.size() ? std::string(expected.size() - found.size(), '0') + found : found);
    }
    for (const char* text : {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
                             "2024-01-01T00:00:61Z", "2024-01-01T00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z",
                             "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+0100", "2024-01-01T00:00:00ZZ", " 2024-01-01T00:00:00Z",
                             "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00.1+0a:00", "20240101T000000Z"}) {
        check(std::string("no time: ") + text, false, parse_time(text).has_value());
    }
}

/// Any text of any points, halves of pairs among them, comes back as it was; so does any double.
void any_text() {
    auto seed = std::random_device{}();
    std::mt19937_64 next(seed);
    for (int round = 0; round < 20000; ++round) {
        std::string text = "\"";
        for (auto left = next() % 8; left > 0; --left) {
            std::array<char, 8> escape;
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(next() % 2 ? next() % 0x10000 : 0xd700 + next() % 0xa00));
            text += escape.data();
        }
        std::string once = Json::parse(text + "\"").dump();
        check("seed " + std::to_string(seed), once, Json::parse(once).dump());
        std::uint64_t bits = next();
        double number = 0;
        std::memcpy(&number, &bits, sizeof number);
        if (std::isfinite(number)) check("seed " + std::to_string(seed), number, Json::parse(Json(number).dump()).as_double());
    }
}

}  // namespace

int main() {
    same_again();
    refused();
    written();
    access();
    times();
    any_text();
    std::cout << (failures == 0 ? "json: all well\n" : "json: " + std::to_string(failures) + " failures\n");
    return failures == 0 ? 0 : 1;
}
