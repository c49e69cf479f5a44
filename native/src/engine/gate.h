// Bounds how many engine threads compute at once. A thread leaves the gate while it waits for the
// device, so that reads, arithmetic and writes of different units overlap without a pipeline of
// queues. Not std::counting_semaphore: GCC 12's can sleep forever (GCC bug 104928).
#pragma once

#include <condition_variable>
#include <mutex>

namespace graft {

class Gate {
 public:
  explicit Gate(int count) : free_(count) {}

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
  void Enter() {
    std::unique_lock<std::mutex> lock(mutex_);
    left_.wait(lock, [this] { return free_ > 0; });
    --free_;
  }
  void Leave() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++free_;
    }
    left_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable left_;
  int free_;
};

}  // namespace graft
