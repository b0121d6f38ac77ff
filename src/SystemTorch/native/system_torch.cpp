// The native side of SystemTorch: a C interface to an installed libtorch, from 1.13 to the newest.
//
// Nearly every ATen operator is reached through one function, st_call, which looks the operator up in libtorch's
// dispatcher and calls it boxed. What the dispatcher does not offer (autograd, custom functions, gradient mode,
// seeds, devices, raw memory) has a small function of its own.
//
// No exception leaves this file: a function that can fail returns nullptr or -1 and leaves its text for st_error.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/jit_type.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/cuda.h>
#include <torch/serialize/archive.h>
#include <torch/version.h>

#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
#define TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace {

#if TORCH_AT_LEAST(2, 3)
template <typename T> using optional = std::optional<T>;
constexpr auto none = std::nullopt;
#else
template <typename T> using optional = c10::optional<T>;
constexpr auto none = c10::nullopt;
#endif

thread_local std::string last_error;
std::atomic<int64_t> live_handles{0};

at::Tensor* share(at::Tensor tensor) {
  live_handles.fetch_add(1, std::memory_order_relaxed);
  return new at::Tensor(std::move(tensor));
}

// Runs body; on an exception keeps its text and returns `failed`.
template <typename R, typename F>
R guarded(R failed, F&& body) {
  try {
    return body();
  } catch (const c10::Error& e) {
    last_error = e.what_without_backtrace();
  } catch (const std::exception& e) {
    last_error = e.what();
  } catch (...) {
    last_error = "libtorch threw something that is no std::exception";
  }
  if (last_error.empty()) last_error = "libtorch failed without a message";
  return failed;
}

// ---- arguments and results of a boxed call; the layout is mirrored by Interop/NativeValue.cs

enum class Kind : int32_t {
  Default, None, Tensor, Int, Double, Bool, IntList, TensorList, DoubleList, Device, String, Generator, BoolList
};

struct Value {
  Kind kind;
  int32_t count;
  union {
    int64_t integer;
    double real;
    void* pointer;
  };
};

at::Device to_device(int64_t packed) {
  return at::Device(static_cast<at::DeviceType>(packed >> 32), static_cast<at::DeviceIndex>(static_cast<int32_t>(packed)));
}

[[noreturn]] void refuse(const c10::FunctionSchema& schema, const c10::Argument& formal, const char* got) {
  throw std::invalid_argument(
      "argument '" + formal.name() + "' of " + c10::toString(schema.operator_name()) + " cannot be " + got + "; the schema is " + c10::str(schema));
}

c10::IValue convert_list(const Value& a, const c10::TypePtr& element, const c10::FunctionSchema& schema, const c10::Argument& formal) {
  switch (element->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType: {
      if (a.kind == Kind::Int) return c10::IValue(std::vector<int64_t>(static_cast<size_t>(formal.N().value_or(1)), a.integer));
      if (a.kind != Kind::IntList) refuse(schema, formal, "anything but a list of integers");
      // Filled here: a vector would be copied into such a list, and shapes are among the arguments of the cheapest operators.
      c10::List<int64_t> list;
      list.reserve(a.count);
      auto* values = static_cast<const int64_t*>(a.pointer);
      for (int i = 0; i < a.count; i++) list.push_back(values[i]);
      return c10::IValue(std::move(list));
    }
    case c10::TypeKind::FloatType: {
      if (a.kind == Kind::Double) return c10::IValue(std::vector<double>{a.real});
      if (a.kind != Kind::DoubleList) refuse(schema, formal, "anything but a list of numbers");
      auto* values = static_cast<const double*>(a.pointer);
      return c10::IValue(std::vector<double>(values, values + a.count));
    }
    case c10::TypeKind::BoolType: {
      if (a.kind != Kind::BoolList) refuse(schema, formal, "anything but a list of truth values");
      c10::List<bool> list;
      auto* values = static_cast<const uint8_t*>(a.pointer);
      for (int i = 0; i < a.count; i++) list.push_back(values[i] != 0);
      return c10::IValue(std::move(list));
    }
    case c10::TypeKind::TensorType: {
      if (a.kind != Kind::TensorList) refuse(schema, formal, "anything but a list of tensors");
      c10::List<at::Tensor> list;
      list.reserve(a.count);
      auto* values = static_cast<at::Tensor* const*>(a.pointer);
      for (int i = 0; i < a.count; i++) {
        if (!values[i]) refuse(schema, formal, "a list with a null in it");
        list.push_back(*values[i]);
      }
      return c10::IValue(std::move(list));
    }
    case c10::TypeKind::OptionalType: {
      if (a.kind != Kind::TensorList) refuse(schema, formal, "anything but a list of tensors");
      c10::List<optional<at::Tensor>> list;
      list.reserve(a.count);
      auto* values = static_cast<at::Tensor* const*>(a.pointer);
      for (int i = 0; i < a.count; i++) list.push_back(values[i] ? optional<at::Tensor>(*values[i]) : optional<at::Tensor>(none));
      return c10::IValue(std::move(list));
    }
    default:
      refuse(schema, formal, "given: its element type is not supported");
  }
}

c10::IValue convert(const Value& a, const c10::TypePtr& type, const c10::FunctionSchema& schema, const c10::Argument& formal) {
  switch (type->kind()) {
    case c10::TypeKind::OptionalType:
      if (a.kind == Kind::None) return c10::IValue();
      return convert(a, type->castRaw<c10::OptionalType>()->getElementType(), schema, formal);
    case c10::TypeKind::TensorType:
      if (a.kind == Kind::Tensor && a.pointer) return c10::IValue(*static_cast<at::Tensor*>(a.pointer));
      if (a.kind == Kind::Tensor || a.kind == Kind::None) return c10::IValue(at::Tensor());
      refuse(schema, formal, "anything but a tensor");
    case c10::TypeKind::NumberType:
      if (a.kind == Kind::Int) return c10::IValue(a.integer);
      if (a.kind == Kind::Double) return c10::IValue(a.real);
      if (a.kind == Kind::Bool) return c10::IValue(a.integer != 0);
      refuse(schema, formal, "anything but a number");
    case c10::TypeKind::FloatType:
      if (a.kind == Kind::Double) return c10::IValue(a.real);
      if (a.kind == Kind::Int) return c10::IValue(static_cast<double>(a.integer));
      refuse(schema, formal, "anything but a number");
    case c10::TypeKind::BoolType:
      if (a.kind == Kind::Bool || a.kind == Kind::Int) return c10::IValue(a.integer != 0);
      refuse(schema, formal, "anything but a truth value");
    case c10::TypeKind::DeviceObjType:
      if (a.kind == Kind::Device) return c10::IValue(to_device(a.integer));
      refuse(schema, formal, "anything but a device");
    case c10::TypeKind::StringType:
      if (a.kind == Kind::String) return c10::IValue(std::string(static_cast<const char*>(a.pointer), a.count));
      refuse(schema, formal, "anything but a string");
    case c10::TypeKind::GeneratorType:
      if (a.kind == Kind::Generator) return c10::IValue(*static_cast<at::Generator*>(a.pointer));
      refuse(schema, formal, "anything but a generator");
    case c10::TypeKind::ListType:
      return convert_list(a, type->castRaw<c10::ListType>()->getElementType(), schema, formal);
    default: // integers, and the enumerations that a schema carries as integers
      if (a.kind == Kind::Int || a.kind == Kind::Bool) return c10::IValue(a.integer);
      refuse(schema, formal, "given: its type is not supported");
  }
}

thread_local std::vector<Value> results;

void append(c10::IValue&& value) {
  Value r{Kind::None, 0, {0}};
  if (value.isTensor()) {
    r.kind = Kind::Tensor;
    at::Tensor t = std::move(value).toTensor();
    r.pointer = t.defined() ? share(std::move(t)) : nullptr;
  } else if (value.isTensorList()) {
    for (at::Tensor t : value.toTensorVector()) append(c10::IValue(std::move(t)));
    return;
  } else if (value.isBool()) {
    r.kind = Kind::Bool;
    r.integer = value.toBool();
  } else if (value.isInt()) {
    r.kind = Kind::Int;
    r.integer = value.toInt();
  } else if (value.isDouble()) {
    r.kind = Kind::Double;
    r.real = value.toDouble();
  }
  results.push_back(r);
}

torch::jit::Stack stack_of(const c10::OperatorHandle& op, const Value* arguments, int32_t count) {
  const auto& schema = op.schema();
  const auto& formals = schema.arguments();
  if (static_cast<size_t>(count) > formals.size())
    throw std::invalid_argument("too many arguments for " + c10::str(schema));
  torch::jit::Stack stack;
  stack.reserve(formals.size());
  for (size_t i = 0; i < formals.size(); i++) {
    const auto& formal = formals[i];
    if (i < static_cast<size_t>(count) && arguments[i].kind != Kind::Default) {
      stack.push_back(convert(arguments[i], formal.type(), schema, formal));
    } else if (formal.default_value()) {
      stack.push_back(*formal.default_value());
    } else {
      throw std::invalid_argument("argument '" + formal.name() + "' is missing and has no default: " + c10::str(schema));
    }
  }
  return stack;
}

const Value* give(torch::jit::Stack& stack, int32_t* results_count) {
  results.clear();
  for (auto& value : stack) append(std::move(value));
  *results_count = static_cast<int32_t>(results.size());
  return results.data();
}

// ---- computing 16-bit types in float32 (see Interop/LowPrecision.cs)

template <typename F>
void each_tensor(const c10::IValue& value, F&& visit) {
  if (value.isTensor() && value.toTensor().defined()) visit(value.toTensor());
  else if (value.isTensorList())
    for (at::Tensor t : value.toTensorList()) visit(t);
}

// The one 16-bit type of all floating tensors of the call if it is among `types`; none when they are mixed, or asked for in another type.
optional<at::ScalarType> narrow_type(const c10::OperatorHandle& op, const torch::jit::Stack& stack, int32_t types) {
  optional<at::ScalarType> found;
  bool mixed = false;
  for (const auto& value : stack)
    each_tensor(value, [&](const at::Tensor& t) {
      if (!t.device().is_cpu()) mixed = true;
      if (!t.is_floating_point()) return;
      if (found && *found != t.scalar_type()) mixed = true;
      found = t.scalar_type();
    });
  bool named = found && ((*found == at::kHalf && (types & 1)) || (*found == at::kBFloat16 && (types & 2)));
  if (mixed || !named) return none;
  const auto& formals = op.schema().arguments();
  for (size_t i = 0; i < formals.size(); i++)
    if (formals[i].name() == "dtype" && stack[i].isInt() && stack[i].toInt() != static_cast<int64_t>(*found)) return none;
  return found;
}

// Replaces the tensors of the stack; returns those that the operator will change, with their replacements.
std::vector<std::pair<at::Tensor, at::Tensor>> widen(const c10::OperatorHandle& op, torch::jit::Stack& stack, at::ScalarType narrow) {
  std::vector<std::pair<at::Tensor, at::Tensor>> changed;
  const auto& formals = op.schema().arguments();
  for (size_t i = 0; i < stack.size(); i++) {
    if (stack[i].isTensorList()) {
      std::vector<at::Tensor> list = stack[i].toTensorVector();
      for (auto& t : list)
        if (t.scalar_type() == narrow) t = t.to(at::kFloat);
      stack[i] = std::move(list);
    } else if (stack[i].isTensor() && stack[i].toTensor().defined() && stack[i].toTensor().scalar_type() == narrow) {
      at::Tensor original = stack[i].toTensor(), wide = original.to(at::kFloat);
      // The running statistics of a batch norm are changed though its schema does not say so.
      bool writes = (formals[i].alias_info() && formals[i].alias_info()->isWrite()) || formals[i].name().rfind("running_", 0) == 0;
      if (writes) changed.emplace_back(original, wide);
      stack[i] = std::move(wide);
    } else if (formals[i].name() == "dtype" && stack[i].isInt()) {
      stack[i] = static_cast<int64_t>(at::kFloat);
    }
  }
  return changed;
}

// ---- custom functions

using BackwardCallback = const char* (*)(void* state, at::Tensor** gradients, int32_t count, at::Tensor** outputs, int32_t outputs_count);
using ReleaseCallback = void (*)(void* state);

// Nodes are held by shared pointers in older versions, by intrusive ones in newer: an edge tells which.
using NodePointer = std::decay_t<decltype(torch::autograd::Edge::function)>;

template <typename T>
auto make_node(std::shared_ptr<torch::autograd::Node>*) {
  return std::shared_ptr<T>(new T(), [](T* node) { deleteNode(node); });
}
template <typename T>
auto make_node(c10::intrusive_ptr<torch::autograd::Node>*) {
  return c10::make_intrusive<T>();
}

template <typename Node>
auto pointer_to(Node* node, int) -> decltype(node->getptr()) { return node->getptr(); }
template <typename Node>
auto pointer_to(Node* node, long) { return node->shared_from_this(); }

// What an intrusive node does when its last owner has gone though weak references are left.
template <typename Node>
auto release_node(Node* node, int) -> decltype(node->Node::release_resources()) { node->Node::release_resources(); }
template <typename Node>
void release_node(Node*, long) {}

struct ManagedFunction : torch::autograd::Node {
  BackwardCallback backward = nullptr;
  ReleaseCallback release = nullptr;
  void* state = nullptr;
  std::string label;
  bool materialize = true;
  std::vector<bool> is_tensor; // one entry per argument of apply
  std::vector<torch::autograd::VariableInfo> output_info;
  std::vector<torch::autograd::SavedVariable> saved;

  ~ManagedFunction() override {
    if (release) release(state);
  }

  std::string name() const override { return label; }

  // A saved output refers weakly to this node, which would keep an intrusive one from being destroyed. (Overrides in newer versions.)
  void release_resources() {
    saved.clear();
    release_node(static_cast<torch::autograd::Node*>(this), 0);
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    at::OptionalDeviceGuard guard;
    std::vector<at::Tensor*> handles;
    for (size_t i = 0; i < gradients.size(); i++) {
      if (!gradients[i].defined() && materialize) gradients[i] = output_info[i].zeros(guard);
      handles.push_back(share(gradients[i]));
    }
    std::vector<at::Tensor*> outputs(is_tensor.size(), nullptr);
    const char* error = backward(state, handles.data(), static_cast<int32_t>(handles.size()), outputs.data(), static_cast<int32_t>(outputs.size()));
    torch::autograd::variable_list returned;
    for (size_t i = 0; i < outputs.size(); i++) {
      at::Tensor value = outputs[i] ? *outputs[i] : at::Tensor();
      if (outputs[i]) {
        delete outputs[i];
        live_handles.fetch_sub(1, std::memory_order_relaxed);
      }
      if (is_tensor[i]) returned.push_back(std::move(value));
    }
    if (error) throw std::runtime_error(label + ".backward: " + error);
    return returned;
  }
};

struct Wrapping {
  torch::autograd::variable_list inputs;
  std::unordered_set<at::TensorImpl*> constant, changed, to_save;
  std::vector<optional<at::Tensor>> raw;
  std::function<torch::autograd::variable_list(torch::autograd::variable_list, torch::autograd::variable_list)> jvp;
  std::function<at::Tensor(at::Tensor)> view_as_self = [](at::Tensor x) { return x.view_as(x); };
};

template <int N> struct Rank : Rank<N - 1> {};
template <> struct Rank<0> {};

// The parameters of _wrap_outputs have grown from version to version: the longest list that compiles is taken.
template <typename Node>
auto wrap_outputs(const Wrapping& w, const Node& node, Rank<4>)
    -> decltype(torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self, false, std::declval<Node&>())) {
  Node attached;
  return torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self, false, attached);
}
template <typename Node>
auto wrap_outputs(const Wrapping& w, const Node& node, Rank<3>)
    -> decltype(torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self, false)) {
  return torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self, false);
}
template <typename Node>
auto wrap_outputs(const Wrapping& w, const Node& node, Rank<2>)
    -> decltype(torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self)) {
  return torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save, w.view_as_self);
}
template <typename Node>
auto wrap_outputs(const Wrapping& w, const Node& node, Rank<1>)
    -> decltype(torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save)) {
  return torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp, w.to_save);
}
template <typename Node>
auto wrap_outputs(const Wrapping& w, const Node& node, Rank<0>)
    -> decltype(torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp)) {
  return torch::autograd::_wrap_outputs(w.inputs, w.constant, w.changed, w.raw, node, w.jvp);
}

// ---- counting what the CPU allocator hands out (for tests)

std::atomic<int64_t> allocated_now{0}, allocated_peak{0};

void count_freed(void* data) {
  allocated_now.fetch_sub(static_cast<int64_t>(malloc_usable_size(data)), std::memory_order_relaxed);
  free(data);
}

struct CountingAllocator final : at::Allocator {
  c10::DataPtr counted(size_t bytes) const {
    if (bytes == 0) return {nullptr, nullptr, &count_freed, at::Device(at::kCPU)};
    void* data = nullptr;
    if (posix_memalign(&data, 64, bytes) != 0) throw std::bad_alloc();
    int64_t size = static_cast<int64_t>(malloc_usable_size(data));
    int64_t now = allocated_now.fetch_add(size, std::memory_order_relaxed) + size;
    int64_t peak = allocated_peak.load(std::memory_order_relaxed);
    while (now > peak && !allocated_peak.compare_exchange_weak(peak, now)) {}
    return {data, data, &count_freed, at::Device(at::kCPU)};
  }
#if TORCH_AT_LEAST(2, 3)
  c10::DataPtr allocate(size_t bytes) override { return counted(bytes); }
  void copy_data(void* target, const void* source, std::size_t count) const override { std::memcpy(target, source, count); }
#else
  c10::DataPtr allocate(size_t bytes) const override { return counted(bytes); }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return &count_freed; }
};

CountingAllocator counting_allocator;
c10::Allocator* usual_allocator = nullptr;

std::vector<at::Tensor> tensors_of(at::Tensor* const* handles, int32_t count) {
  std::vector<at::Tensor> list;
  list.reserve(count);
  for (int i = 0; i < count; i++) list.push_back(handles[i] ? *handles[i] : at::Tensor());
  return list;
}

at::Generator default_generator(int64_t device) {
  return at::globalContext().defaultGenerator(to_device(device));
}

} // namespace

// ---- the library

API const char* st_error() { return last_error.c_str(); }

API const char* st_version() { return TORCH_VERSION; }

// Loads the CUDA half of libtorch when it lies beside the CPU half, so that its kernels register themselves.
API void st_initialize() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(static_cast<bool (*)()>(&at::hasCUDA)), &info) && info.dli_fname) {
    std::string folder(info.dli_fname);
    folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/') + 1);
    dlopen((folder + "libtorch_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
  }
}

API int64_t st_live_handles() { return live_handles.load(); }

API void st_count_allocations(int32_t on) {
  if (on && !usual_allocator) {
    usual_allocator = c10::GetCPUAllocator();
    c10::SetCPUAllocator(&counting_allocator, 100);
  } else if (!on && usual_allocator) {
    c10::SetCPUAllocator(usual_allocator, 100);
    usual_allocator = nullptr;
  }
}

API int64_t st_allocated_now() { return allocated_now.load(); }
API int64_t st_allocated_peak() { return allocated_peak.load(); }
API void st_reset_peak() { allocated_peak.store(allocated_now.load()); }

// ---- operators

API const c10::OperatorHandle* st_operator(const char* name, const char* overload) {
  return guarded<const c10::OperatorHandle*>(nullptr, [&]() -> const c10::OperatorHandle* {
    auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!found) {
      last_error = std::string("this libtorch (") + TORCH_VERSION + ") has no operator " + name + (*overload ? "." : "") + overload;
      return nullptr;
    }
    return new c10::OperatorHandle(*found);
  });
}

API const Value* st_call(const c10::OperatorHandle* op, const Value* arguments, int32_t count, int32_t* results_count) {
  *results_count = -1; // stays so when the call fails
  return guarded<const Value*>(nullptr, [&]() -> const Value* {
    torch::jit::Stack stack = stack_of(*op, arguments, count);
    op->callBoxed(&stack);
    return give(stack, results_count);
  });
}

// As st_call, but where every floating tensor among the arguments is on the CPU and of one type that `types` names (bit 0: Half, bit 1: BFloat16),
// computes in float32 and rounds what comes out; tensors that the operator changed are rounded back in place. Differentiable.
API const Value* st_call_widened(const c10::OperatorHandle* op, const Value* arguments, int32_t count, int32_t types, int32_t* results_count) {
  *results_count = -1;
  return guarded<const Value*>(nullptr, [&]() -> const Value* {
    torch::jit::Stack stack = stack_of(*op, arguments, count);
    auto narrow = narrow_type(*op, stack, types);
    if (!narrow) {
      op->callBoxed(&stack);
      return give(stack, results_count);
    }
    std::vector<std::pair<at::Tensor, at::Tensor>> changed = widen(*op, stack, *narrow);
    op->callBoxed(&stack);
    for (auto& [original, wide] : changed) original.copy_(wide);
    for (auto& value : stack) {
      if (!value.isTensor() || !value.toTensor().defined()) continue;
      at::Tensor result = value.toTensor();
      auto same = std::find_if(changed.begin(), changed.end(), [&](auto& pair) { return pair.second.is_same(result); });
      if (same != changed.end()) value = same->first;
      else if (result.scalar_type() == at::kFloat) value = result.to(*narrow);
    }
    return give(stack, results_count);
  });
}

// ---- tensors

API void st_tensor_delete(at::Tensor* tensor) {
  if (!tensor) return;
  delete tensor;
  live_handles.fetch_sub(1, std::memory_order_relaxed);
}

API at::Tensor* st_tensor_share(at::Tensor* tensor) { return share(*tensor); }

API int32_t st_tensor_defined(at::Tensor* tensor) { return tensor->defined(); }
API int64_t st_tensor_dim(at::Tensor* tensor) { return guarded<int64_t>(-1, [&] { return tensor->dim(); }); }

API int32_t st_tensor_sizes(at::Tensor* tensor, int64_t* sizes) {
  return guarded<int32_t>(-1, [&] {
    auto source = tensor->sizes();
    std::copy(source.begin(), source.end(), sizes);
    return 0;
  });
}

API int32_t st_tensor_strides(at::Tensor* tensor, int64_t* strides) {
  return guarded<int32_t>(-1, [&] {
    auto source = tensor->strides();
    std::copy(source.begin(), source.end(), strides);
    return 0;
  });
}

API int64_t st_tensor_numel(at::Tensor* tensor) { return guarded<int64_t>(-1, [&] { return tensor->numel(); }); }
API int64_t st_tensor_element_size(at::Tensor* tensor) { return guarded<int64_t>(-1, [&] { return static_cast<int64_t>(tensor->element_size()); }); }
API int64_t st_tensor_storage_offset(at::Tensor* tensor) { return guarded<int64_t>(-1, [&] { return tensor->storage_offset(); }); }
API int64_t st_tensor_storage_bytes(at::Tensor* tensor) { return guarded<int64_t>(-1, [&] { return static_cast<int64_t>(tensor->storage().nbytes()); }); }
API int32_t st_tensor_dtype(at::Tensor* tensor) { return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->scalar_type()); }); }
API int32_t st_tensor_layout(at::Tensor* tensor) { return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->layout()); }); }

// The device's type in the upper half, its index (-1: none) in the lower one; INT64_MIN for an error.
API int64_t st_tensor_device(at::Tensor* tensor) {
  return guarded<int64_t>(INT64_MIN, [&] {
    auto device = tensor->device();
    return (static_cast<int64_t>(device.type()) << 32) | static_cast<uint32_t>(static_cast<int32_t>(device.index()));
  });
}

API void* st_tensor_data(at::Tensor* tensor) {
  return guarded<void*>(nullptr, [&] { return tensor->data_ptr(); });
}

// The start of the storage: equal for tensors that share memory.
API void* st_tensor_storage(at::Tensor* tensor) {
  return guarded<void*>(nullptr, [&] { return const_cast<void*>(static_cast<const void*>(tensor->storage().data())); });
}

API int32_t st_tensor_is_contiguous(at::Tensor* tensor, int32_t format) {
  return guarded<int32_t>(-1, [&] {
    return static_cast<int32_t>(tensor->is_contiguous(static_cast<at::MemoryFormat>(format)));
  });
}

API at::Tensor* st_tensor_from_blob(void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype, ReleaseCallback release, void* state) {
  return guarded<at::Tensor*>(nullptr, [&] {
    auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype));
    return share(at::from_blob(data, at::IntArrayRef(sizes, dimensions), [release, state](void*) { if (release) release(state); }, options));
  });
}

// libtorch's own file of one tensor: what torch::save writes and torch::load reads.
API int32_t st_tensor_save(at::Tensor* tensor, const char* path) {
  return guarded<int32_t>(-1, [&] {
    torch::serialize::OutputArchive archive;
    archive.write("0", *tensor);
    archive.save_to(path);
    return 0;
  });
}

API at::Tensor* st_tensor_load(const char* path) {
  return guarded<at::Tensor*>(nullptr, [&] {
    torch::serialize::InputArchive archive;
    archive.load_from(std::string(path));
    at::Tensor tensor;
    archive.read("0", tensor);
    return share(std::move(tensor));
  });
}

// ---- autograd

API int32_t st_requires_grad(at::Tensor* tensor) { return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->requires_grad()); }); }
API int32_t st_is_leaf(at::Tensor* tensor) { return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->is_leaf()); }); }

API int32_t st_set_requires_grad(at::Tensor* tensor, int32_t value) {
  return guarded<int32_t>(-1, [&] {
    tensor->set_requires_grad(value != 0);
    return 0;
  });
}

// The gradient, or nullptr with an empty st_error when there is none. Asked of the implementation: Tensor::grad() prints a warning for a tensor that is
// no leaf.
API at::Tensor* st_grad(at::Tensor* tensor) {
  last_error.clear();
  return guarded<at::Tensor*>(nullptr, [&]() -> at::Tensor* {
    const c10::TensorImpl* implementation = tensor->unsafeGetTensorImpl();
    at::Tensor gradient = implementation->grad();
    return gradient.defined() ? share(std::move(gradient)) : nullptr;
  });
}

API int32_t st_set_grad(at::Tensor* tensor, at::Tensor* gradient) {
  return guarded<int32_t>(-1, [&] {
    tensor->mutable_grad() = gradient ? *gradient : at::Tensor();
    return 0;
  });
}

// `gradients` is nullptr, or has as many entries as `tensors`.
API int32_t st_backward(at::Tensor* const* tensors, at::Tensor* const* gradients, int32_t count, int32_t retain, int32_t create, at::Tensor* const* inputs, int32_t inputs_count) {
  return guarded<int32_t>(-1, [&] {
    torch::autograd::backward(
        tensors_of(tensors, count), tensors_of(gradients, gradients ? count : 0), retain != 0, create != 0, tensors_of(inputs, inputs_count));
    return 0;
  });
}

API int32_t st_gradients(
    at::Tensor* const* outputs, int32_t outputs_count, at::Tensor* const* inputs, int32_t inputs_count, at::Tensor* const* gradients,
    int32_t retain, int32_t create, int32_t allow_unused, at::Tensor** answers) {
  return guarded<int32_t>(-1, [&] {
    auto found = torch::autograd::grad(
        tensors_of(outputs, outputs_count), tensors_of(inputs, inputs_count), tensors_of(gradients, gradients ? outputs_count : 0), retain != 0,
        create != 0, allow_unused != 0);
    for (size_t i = 0; i < found.size(); i++) answers[i] = found[i].defined() ? share(found[i]) : nullptr;
    return 0;
  });
}

API int32_t st_grad_enabled() { return at::GradMode::is_enabled(); }
API void st_set_grad_enabled(int32_t on) { at::GradMode::set_enabled(on != 0); }
API int32_t st_inference_enabled() { return c10::InferenceMode::is_enabled(); }
API c10::InferenceMode* st_inference_enter(int32_t on) { return new c10::InferenceMode(on != 0); }
API void st_inference_leave(c10::InferenceMode* guard) { delete guard; }

// Ties the outputs of a managed forward to the graph of its inputs. `handles` has one entry per argument of apply, nullptr
// for what is no tensor. Writes the wrapped outputs to `wrapped` and returns the node (nullptr when no gradient is needed), which the
// caller may use in st_function_saved as long as a graph or a handle keeps it.
API int32_t st_function_apply(
    at::Tensor* const* handles, int32_t count, at::Tensor* const* outputs, int32_t outputs_count, at::Tensor* const* not_differentiable,
    int32_t not_differentiable_count, at::Tensor* const* dirty, int32_t dirty_count, at::Tensor* const* saved, int32_t saved_count,
    int32_t materialize, const char* name, BackwardCallback backward, ReleaseCallback release, void* state, at::Tensor** wrapped, ManagedFunction** node) {
  return guarded<int32_t>(-1, [&] {
    Wrapping w;
    std::vector<bool> is_tensor(count);
    for (int i = 0; i < count; i++) {
      is_tensor[i] = handles[i] != nullptr;
      if (is_tensor[i]) w.inputs.push_back(*handles[i]);
    }
    bool needed = at::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad(w.inputs);
    decltype(make_node<ManagedFunction>(static_cast<NodePointer*>(nullptr))) function;
    if (needed) {
      function = make_node<ManagedFunction>(static_cast<NodePointer*>(nullptr));
      function->label = name;
      function->is_tensor = std::move(is_tensor);
      function->materialize = materialize != 0;
      function->backward = backward;
      function->set_next_edges(torch::autograd::collect_next_edges(w.inputs));
      function->clear_input_metadata();
    }
    for (int i = 0; i < not_differentiable_count; i++) w.constant.insert(not_differentiable[i]->unsafeGetTensorImpl());
    for (int i = 0; i < dirty_count; i++) w.changed.insert(dirty[i]->unsafeGetTensorImpl());
    for (int i = 0; i < outputs_count; i++) w.raw.emplace_back(*outputs[i]);
    w.jvp = [](torch::autograd::variable_list, torch::autograd::variable_list) -> torch::autograd::variable_list {
      throw std::runtime_error("forward-mode differentiation of a managed function is not supported");
    };
    auto answers = wrap_outputs(w, NodePointer(function), Rank<4>());
    if (function) {
      for (auto& answer : answers) function->output_info.emplace_back(*answer);
      for (int i = 0; i < saved_count; i++) {
        bool is_output = false;
        at::Tensor value = saved[i] ? *saved[i] : at::Tensor();
        // A saved output is kept as the wrapped variable: only that one belongs to this node.
        for (int k = 0; k < outputs_count && !is_output; k++) {
          is_output = value.defined() && value.is_same(*outputs[k]) && !w.changed.count(value.unsafeGetTensorImpl());
          if (is_output) value = *answers[k];
        }
        function->saved.emplace_back(value, is_output && value.grad_fn().get() == function.get());
      }
      function->release = release; // from here on the node owns the state
      function->state = state;
    }
    for (size_t i = 0; i < answers.size(); i++) wrapped[i] = share(*answers[i]);
    *node = function.get();
    return 0;
  });
}

API int32_t st_function_saved(ManagedFunction* node, at::Tensor** answers) {
  return guarded<int32_t>(-1, [&] {
    for (size_t i = 0; i < node->saved.size(); i++) answers[i] = share(node->saved[i].unpack(pointer_to(node, 0)));
    return 0;
  });
}

// ---- settings, devices, random numbers

API int32_t st_default_dtype() { return static_cast<int32_t>(c10::typeMetaToScalarType(c10::get_default_dtype())); }
API int32_t st_set_default_dtype(int32_t dtype) {
  return guarded<int32_t>(-1, [&] {
    c10::set_default_dtype(c10::scalarTypeToTypeMeta(static_cast<at::ScalarType>(dtype)));
    return 0;
  });
}

API int32_t st_threads() { return at::get_num_threads(); }
API int32_t st_set_threads(int32_t count) {
  return guarded<int32_t>(-1, [&] {
    at::set_num_threads(count);
    return 0;
  });
}
API int32_t st_interop_threads() { return at::get_num_interop_threads(); }

API int32_t st_cuda_available() { return guarded<int32_t>(0, [&] { return static_cast<int32_t>(torch::cuda::is_available()); }); }
API int32_t st_cuda_count() { return guarded<int32_t>(0, [&] { return static_cast<int32_t>(torch::cuda::device_count()); }); }
API int32_t st_cuda_synchronize(int64_t index) {
  return guarded<int32_t>(-1, [&] {
    torch::cuda::synchronize(index);
    return 0;
  });
}
API int32_t st_cuda_allow_tf32(int32_t on) {
  return guarded<int32_t>(-1, [&] {
    int32_t before = at::globalContext().allowTF32CuBLAS();
    if (on >= 0) at::globalContext().setAllowTF32CuBLAS(on != 0);
    return before;
  });
}

API int32_t st_manual_seed(uint64_t seed) {
  return guarded<int32_t>(-1, [&] {
    at::manual_seed(seed);
    return 0;
  });
}

API at::Generator* st_generator_new(uint64_t seed, int64_t device) {
  return guarded<at::Generator*>(nullptr, [&]() -> at::Generator* {
    if (to_device(device).is_cpu()) return new at::Generator(at::make_generator<at::CPUGeneratorImpl>(seed));
    auto* generator = new at::Generator(default_generator(device).clone());
    generator->set_current_seed(seed);
    return generator;
  });
}

API at::Generator* st_generator_default(int64_t device) {
  return guarded<at::Generator*>(nullptr, [&] { return new at::Generator(default_generator(device)); });
}

API void st_generator_delete(at::Generator* generator) { delete generator; }
API int32_t st_generator_seed(at::Generator* generator, uint64_t seed) {
  return guarded<int32_t>(-1, [&] {
    generator->set_current_seed(seed);
    return 0;
  });
}
API uint64_t st_generator_fresh_seed(at::Generator* generator) { return guarded<uint64_t>(0, [&] { return generator->seed(); }); }
API uint64_t st_generator_initial_seed(at::Generator* generator) { return guarded<uint64_t>(0, [&] { return generator->current_seed(); }); }
API at::Tensor* st_generator_state(at::Generator* generator) {
  return guarded<at::Tensor*>(nullptr, [&] { return share(generator->get_state()); });
}
API int32_t st_generator_set_state(at::Generator* generator, at::Tensor* state) {
  return guarded<int32_t>(-1, [&] {
    generator->set_state(*state);
    return 0;
  });
}
