// Runs the unit tests of the native library: graft_native_tests [part of a sentence]
#include "check.h"

int main(int argc, char** argv) { return graft::test::RunAll(argc, argv); }
