// Bounds how many engine threads compute at once. A thread leaves the gate while it waits for the
// device, so that reads, arithmetic and writes of different units overlap without a pipeline of
// queues.
#pragma once

#include <semaphore>

namespace graft {

class Gate {
 public:
  explicit Gate(int count) : permits_(count) {}
  void Enter() { permits_.acquire(); }
  void Leave() { permits_.release(); }

  /// Holds a permit for a scope.
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate) { gate_.Enter(); }
    ~Pass() { gate_.Leave(); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    Gate& gate_;
  };

 private:
  std::counting_semaphore<1024> permits_;
};

}  // namespace graft
