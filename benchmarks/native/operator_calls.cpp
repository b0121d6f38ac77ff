// The calls of OperatorCallBenchmarks from C++: directly, and through the boxed dispatcher, which is how SystemTorch calls.
// Each function makes `count` calls and throws their results away one by one.

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#define API extern "C" __attribute__((visibility("default")))

namespace {

at::Tensor left() {
  static at::Tensor tensor = at::ones({8});
  return tensor;
}

at::Tensor right() {
  static at::Tensor tensor = at::zeros({8});
  return tensor;
}

c10::OperatorHandle find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

void call(const c10::OperatorHandle& op, torch::jit::Stack stack) {
  op.callBoxed(&stack);
}

} // namespace

API void add_direct(int64_t count) {
  at::Tensor a = left(), b = right();
  for (int64_t i = 0; i < count; i++) at::add(a, b);
}

API void add_in_place_direct(int64_t count) {
  at::Tensor a = left(), b = right();
  for (int64_t i = 0; i < count; i++) a.add_(b);
}

API void view_direct(int64_t count) {
  at::Tensor a = left();
  for (int64_t i = 0; i < count; i++) a.view({2, 4});
}

API void add_boxed(int64_t count) {
  static const auto op = find("aten::add", "Tensor");
  at::Tensor a = left(), b = right();
  for (int64_t i = 0; i < count; i++) call(op, {a, b, at::Scalar(1)});
}

API void add_in_place_boxed(int64_t count) {
  static const auto op = find("aten::add_", "Tensor");
  at::Tensor a = left(), b = right();
  for (int64_t i = 0; i < count; i++) call(op, {a, b, at::Scalar(1)});
}

API void view_boxed(int64_t count) {
  static const auto op = find("aten::view", "");
  at::Tensor a = left();
  for (int64_t i = 0; i < count; i++) call(op, {a, std::vector<int64_t>{2, 4}});
}
