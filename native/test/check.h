// The test framework of the native library. TEST("a sentence") { CHECK(...); } registers itself; a
// failed check is reported and the test goes on, so that one run shows everything that is wrong.
#pragma once

#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRAFT_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRAFT_SANITIZED true
#endif
#endif
#ifndef GRAFT_SANITIZED
#define GRAFT_SANITIZED false
#endif

namespace graft::test {

/// Whether this build is instrumented, which makes code slower by an order of magnitude.
inline constexpr bool kSanitized = GRAFT_SANITIZED;

struct TestCase {
  const char* sentence;
  void (*body)();
};

struct Run {
  std::vector<TestCase> cases;
  const char* current = "";
  bool current_failed = false;
};

/// One per process; an inline function's static, because test files register before main.
inline Run& TheRun() {
  static Run run;
  return run;
}

struct Registration {
  Registration(const char* sentence, void (*body)()) { TheRun().cases.push_back({sentence, body}); }
};

inline void ReportFailure(const char* file, int line, const std::string& what) {
  Run& run = TheRun();
  if (!run.current_failed) std::printf("FAILED: %s\n", run.current);
  run.current_failed = true;
  std::printf("  %s:%d: %s\n", file, line, what.c_str());
}

template <typename T>
std::string Show(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_enum_v<T>) {
    text << static_cast<long long>(value);
  } else if constexpr (std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>) {
    text << static_cast<int>(value);
  } else if constexpr (requires { text << value; }) {
    text << std::boolalpha << value;
  } else {
    text << "(no text form)";
  }
  return text.str();
}

template <typename A, typename B>
void CheckEqual(const A& a, const B& b, const char* expression, const char* file, int line) {
  if (a == b) return;
  ReportFailure(file, line,
                std::string(expression) + "\n    left:  " + Show(a) + "\n    right: " + Show(b));
}

/// Runs every test whose sentence contains the first argument, all of them without one.
inline int RunAll(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  Run& run = TheRun();
  int passed = 0;
  int failed = 0;
  for (const TestCase& test : run.cases) {
    if (std::strstr(test.sentence, filter) == nullptr) continue;
    run.current = test.sentence;
    run.current_failed = false;
    test.body();
    ++(run.current_failed ? failed : passed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace graft::test

#define GRAFT_TEST_JOIN2(a, b) a##b
#define GRAFT_TEST_JOIN(a, b) GRAFT_TEST_JOIN2(a, b)
#define GRAFT_TEST_BODY GRAFT_TEST_JOIN(TestBodyAtLine, __LINE__)

#define TEST(sentence)                                                                      \
  static void GRAFT_TEST_BODY();                                                            \
  static const ::graft::test::Registration GRAFT_TEST_JOIN(registration_at_line, __LINE__)( \
      sentence, GRAFT_TEST_BODY);                                                           \
  static void GRAFT_TEST_BODY()

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) ::graft::test::ReportFailure(__FILE__, __LINE__, #condition); \
  } while (false)

/// Both sides are evaluated once and shown when they differ.
#define CHECK_EQ(a, b) ::graft::test::CheckEqual((a), (b), #a " == " #b, __FILE__, __LINE__)
