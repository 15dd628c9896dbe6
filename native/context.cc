// createContext: takes the arrays of a `ContextMemory` once, so that the calls of a breath name
// them by a number. The memory belongs to JavaScript. References keep the arrays alive as long as
// the environment; nobody may transfer or resize their buffers.
#include "addon.h"
#include "napi-args.h"

namespace hawser {
namespace {

// Takes one array of `memory`, checks its least number of elements, and keeps it alive.
template <typename T>
Span<T> Take(ContextHolder& holder, Napi::Object memory, const char* name,
             napi_typedarray_type type, size_t least) {
  const Napi::Value value = memory.Get(name);
  const Span<T> span = ArrayElements<T>(memory.Env(), value, type, name);
  if (least > span.count || INT32_MAX < span.count) {
    throw Napi::RangeError::New(memory.Env(), std::string(name) + " has the wrong size");
  }
  if (reinterpret_cast<uintptr_t>(span.data) % alignof(uint64_t) != 0) {
    throw Napi::RangeError::New(memory.Env(), std::string(name) + " is not aligned to 8 bytes");
  }
  holder.arrays.push_back(Napi::Persistent(value.As<Napi::Object>()));
  return span;
}

void TakeShared(ContextHolder& holder, Napi::Object shared) {
  Context& context = holder.context;
  const auto bytes = [&](const char* name, size_t least) {
    return Take<uint8_t>(holder, shared, name, napi_uint8_array, least).data;
  };
  context.slots = reinterpret_cast<Slot*>(bytes("slots", size_t{kSlots} * sizeof(Slot)));
  context.replay = reinterpret_cast<Replay*>(bytes("replay", size_t{kSlots} * sizeof(Replay)));
  context.remotes = reinterpret_cast<Remote*>(bytes("remotes", size_t{kRemotes} * sizeof(Remote)));
  context.indices =
      Take<int32_t>(holder, shared, "indices", napi_int32_array, size_t{kIndexEntries} * 2).data;
}

void TakeMemory(ContextHolder& holder, Napi::Object memory) {
  Context& context = holder.context;
  const auto slab = Take<uint8_t>(holder, memory, "slab", napi_uint8_array, 0);
  context.slab = slab.data;
  context.slab_bytes = slab.count;
  const auto rows = Take<int32_t>(holder, memory, "rows", napi_int32_array, 0);
  context.rows = reinterpret_cast<Row*>(rows.data);
  context.row_count = static_cast<int32_t>(rows.count * sizeof(int32_t) / sizeof(Row));
  const auto trains = Take<int32_t>(holder, memory, "trains", napi_int32_array, 0);
  context.trains = reinterpret_cast<Train*>(trains.data);
  context.train_count = static_cast<int32_t>(trains.count * sizeof(int32_t) / sizeof(Train));
  const auto pieces = Take<int32_t>(holder, memory, "pieces", napi_int32_array, 0);
  context.pieces = pieces.data;
  context.piece_count = static_cast<int32_t>(pieces.count / 2);
  const auto send_slab = Take<uint8_t>(holder, memory, "sendSlab", napi_uint8_array, 0);
  context.send_slab = send_slab.data;
  context.send_slab_bytes = send_slab.count;
  context.state = Take<double>(holder, memory, "state", napi_float64_array, kStateWords).data;
  const auto polls = Take<int32_t>(holder, memory, "polls", napi_int32_array, 0);
  context.polls = polls.data;
  context.poll_count = static_cast<int32_t>(polls.count / 3);
  context.counters = Take<double>(holder, memory, "counters", napi_float64_array,
                                  (size_t{kCables} + 1) * kCounterWords)
                         .data;
}

}  // namespace

Napi::Value CreateContext(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto* environment = static_cast<Environment*>(info.Data());
  const Napi::Object memory = ObjectArgument(info, 0);
  const Napi::Value shared = memory.Get("shared");
  if (!shared.IsObject()) throw Napi::TypeError::New(env, "shared is no object");

  auto holder = std::make_unique<ContextHolder>();
  TakeMemory(*holder, memory);
  TakeShared(*holder, shared.As<Napi::Object>());
  holder->polls.resize(static_cast<size_t>(holder->context.poll_count));
  environment->contexts.push_back(std::move(holder));
  return Napi::Number::New(env, static_cast<double>(environment->contexts.size() - 1));
}

}  // namespace hawser
