// The border with JavaScript: all unpacking of arguments, all checks of their bounds, and the one
// way in which set-up functions fail.
//
// Functions of a breath take numbers only and are hot, so they go through the bare C interface
// (BreathCall): no allocation, no exception. A wrong argument is a bug of ours and throws; a
// failing system call is a returned -errno. Functions of set-up use node-addon-api with exceptions.
#pragma once
#include <cmath>
#include <cstring>
#include <string>

#include "environment.h"

namespace hawser {

// Arguments of a breath function: a context number, then numbers.
template <size_t kCount>
class BreathCall {
 public:
  BreathCall(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kCount;
    void* data = nullptr;
    valid_ = napi_get_cb_info(env, info, &count, values_, nullptr, &data) == napi_ok;
    environment_ = static_cast<Environment*>(data);
  }

  int32_t Int(size_t index) {
    int32_t value = 0;
    valid_ &= napi_get_value_int32(env_, values_[index], &value) == napi_ok;
    return value;
  }

  double Double(size_t index) {
    double value = 0;
    valid_ &= napi_get_value_double(env_, values_[index], &value) == napi_ok;
    return value;
  }

  // The context named by the first argument, or nullptr.
  ContextHolder* Holder() {
    const auto index = static_cast<uint32_t>(Int(0));
    return index < environment_->contexts.size() ? environment_->contexts[index].get() : nullptr;
  }

  // Whether all arguments read so far were numbers.
  bool valid() const { return valid_; }
  Environment& environment() const { return *environment_; }

  napi_value Return(int32_t value) const {
    napi_value result = nullptr;
    napi_create_int32(env_, value, &result);
    return result;
  }

  // Throws a RangeError: the caller has a bug.
  napi_value Refuse(const char* what) const {
    napi_throw_range_error(env_, "ERR_OUT_OF_RANGE", what);
    return nullptr;
  }

 private:
  napi_env env_;
  napi_value values_[kCount];
  Environment* environment_;
  bool valid_;
};

inline bool IsRange(int32_t first, int32_t end, int32_t count) {
  return first >= 0 && first <= end && end <= count;
}

// Whether [offset, offset + length) lies in `size` bytes; for what JavaScript wrote in rows.
inline bool InSlab(int32_t offset, int32_t length, size_t size) {
  return offset >= 0 && length >= 0 &&
         static_cast<size_t>(offset) + static_cast<size_t>(length) <= size;
}

// Throws an Error with `code`, an errno name, and `errno`. `what`: operation and object.
[[noreturn]] inline void ThrowErrno(Napi::Env env, int number, const std::string& what) {
  Napi::Error error = Napi::Error::New(env, what + ": " + std::strerror(number));
  const char* name = strerrorname_np(number);
  error.Set("code", Napi::String::New(env, name != nullptr ? name : std::to_string(number)));
  error.Set("errno", Napi::Number::New(env, number));
  throw error;
}

inline int32_t IntArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) {
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " is no number");
  }
  return info[index].As<Napi::Number>().Int32Value();
}

inline Napi::Object ObjectArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsObject()) {
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " is no object");
  }
  return info[index].As<Napi::Object>();
}

// A whole number of an options object, in [least, most].
inline uint32_t IntOption(Napi::Object options, const char* name, double least, double most) {
  const Napi::Value value = options.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : least - 1;
  if (!(number >= least && number <= most) || number != std::floor(number)) {
    throw Napi::RangeError::New(options.Env(), std::string("option ") + name + " is out of range");
  }
  return static_cast<uint32_t>(number);
}

inline bool BooleanOption(Napi::Object options, const char* name) {
  return options.Get(name).ToBoolean().Value();
}

template <typename T>
struct Span {
  T* data;
  size_t count;
};

// The elements of a typed array. `napi_get_typedarray_info` moves a small array off V8's heap, so
// that its address stays the same for as long as it lives.
template <typename T>
Span<T> ArrayElements(Napi::Env env, napi_value value, napi_typedarray_type type,
                      const char* name) {
  bool is_array = false;
  napi_is_typedarray(env, value, &is_array);
  napi_typedarray_type actual = napi_int8_array;
  size_t size = 0;
  void* data = nullptr;
  if (!is_array ||
      napi_get_typedarray_info(env, value, &actual, &size, &data, nullptr, nullptr) != napi_ok ||
      actual != type) {
    throw Napi::TypeError::New(env, std::string(name) + " is not the right kind of typed array");
  }
  return {static_cast<T*>(data), size};
}

}  // namespace hawser
