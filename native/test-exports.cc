// The parts of the data path one by one, for tests against the slow twins in test/support/slow.
// Only the test target hawser_test.node has them, as `test`; they are no part of the interface in
// src/native.ts. test/support/native.ts says what each does.
#include <napi.h>
#include <time.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "addon.h"
#include "aead.h"
#include "checksum.h"
#include "coalesce.h"
#include "napi-args.h"
#include "replay.h"
#include "segment.h"

namespace hawser {
namespace {

Span<uint8_t> Bytes(const Napi::CallbackInfo& info, size_t index) {
  return ArrayElements<uint8_t>(info.Env(), info[index], napi_uint8_array, "bytes");
}

Span<int32_t> Words(const Napi::CallbackInfo& info, size_t index) {
  return ArrayElements<int32_t>(info.Env(), info[index], napi_int32_array, "words");
}

void Require(const Napi::CallbackInfo& info, bool holds) {
  if (!holds) throw Napi::RangeError::New(info.Env(), "out of range");
}

// checksum(bytes, offset, length)
Napi::Value TestChecksum(const Napi::CallbackInfo& info) {
  const auto bytes = Bytes(info, 0);
  const int32_t offset = IntArgument(info, 1), length = IntArgument(info, 2);
  Require(info, InSlab(offset, length, bytes.count));
  return Napi::Number::New(info.Env(),
                           Checksum(Sum(bytes.data + offset, static_cast<size_t>(length))));
}

// segment(slab, row)
Napi::Value TestSegment(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto slab = Bytes(info, 0);
  const auto words = Words(info, 1);
  Require(info, words.count == sizeof(Row) / sizeof(int32_t));
  const Row& row = *reinterpret_cast<const Row*>(words.data);
  Require(info, InSlab(row.offset, row.length, slab.count));
  Cut cut;
  if (!PlanCut(slab.data + row.offset, row, &cut)) return env.Null();
  const Napi::Array segments = Napi::Array::New(env, static_cast<size_t>(cut.count));
  for (int32_t i = 0; i < cut.count; i++) {
    Napi::Uint8Array segment =
        Napi::Uint8Array::New(env, static_cast<size_t>(SegmentLength(cut, i)));
    WriteSegment(cut, i, segment.Data());
    segments.Set(static_cast<uint32_t>(i), segment);
  }
  return segments;
}

// coalesce(slab, packets, rows, pieces, allowed)
Napi::Value TestCoalesce(const Napi::CallbackInfo& info) {
  const auto slab = Bytes(info, 0);
  const auto packets = Words(info, 1), rows = Words(info, 2), pieces = Words(info, 3);
  double state[kStateWords] = {};
  state[kStateCoalesce] = IntArgument(info, 4);
  Context context{};
  context.slab = slab.data;
  context.slab_bytes = slab.count;
  context.rows = reinterpret_cast<Row*>(rows.data);
  context.row_count = static_cast<int32_t>(rows.count * sizeof(int32_t) / sizeof(Row));
  context.pieces = pieces.data;
  context.piece_count = static_cast<int32_t>(pieces.count / 2);
  context.state = state;

  const auto coalescer = std::make_unique<Coalescer>(context);
  const size_t count = packets.count * sizeof(int32_t) / sizeof(Packet);
  for (size_t i = 0; i < count; i++) {
    const Packet& packet = reinterpret_cast<const Packet*>(packets.data)[i];
    Require(info, packet.length >= 20 && InSlab(packet.offset, packet.length, slab.count));
    coalescer->Add(packet);
  }
  return Napi::Number::New(info.Env(), coalescer->Finish());
}

// The AEAD in a form by name, one state for each: ChaCha20-Poly1305 and AES-256-GCM are both asked
// for it. Empty: as the environment says.
class AeadByForm {
 public:
  ~AeadByForm() {
    for (auto& [name, state] : states_) DestroyAeadState(state);
  }
  AeadState& Get(const std::string& form) {
    AeadState*& state = states_[form];
    if (state == nullptr) {
      state = form.empty() ? CreateAeadState() : CreateAeadState(form.c_str(), form.c_str());
    }
    return *state;
  }

 private:
  std::map<std::string, AeadState*> states_;
};

struct Jobs {
  const Slot* slots;
  std::vector<AeadJob> jobs;
  double* words;

  // offset, length, slot, counter, good; added to the counter: 2^32 times this; salt, additional
  static constexpr size_t kWords = 8;
};

// (…, slots, data, jobs) from argument `first` on.
Jobs TakeJobs(const Napi::CallbackInfo& info, size_t first) {
  const auto slots = Bytes(info, first), data = Bytes(info, first + 1);
  const auto words = ArrayElements<double>(info.Env(), info[first + 2], napi_float64_array, "jobs");
  std::vector<AeadJob> jobs(words.count / Jobs::kWords);
  for (size_t i = 0; i < jobs.size(); i++) {
    const double* word = words.data + i * Jobs::kWords;
    const auto offset = static_cast<int32_t>(word[0]), length = static_cast<int32_t>(word[1]);
    Require(info, length >= 0 && InSlab(offset, length + kTagBytes, data.count));
    Require(info, word[2] >= 0 && (word[2] + 1) * sizeof(Slot) <= static_cast<double>(slots.count));
    jobs[i] = {data.data + offset,
               static_cast<uint32_t>(length),
               static_cast<uint32_t>(word[2]),
               static_cast<uint64_t>(word[3]),
               false,
               static_cast<uint32_t>(word[6]),
               static_cast<uint32_t>(word[7])};
    jobs[i].counter += static_cast<uint64_t>(word[5]) << 32;
    Require(info, static_cast<int64_t>(jobs[i].additional_room()) <= offset);
  }
  // Sweeping looks at any slot that was used, so the whole table has to be there.
  Require(info, slots.count == size_t{kSlots} * sizeof(Slot));
  return {reinterpret_cast<const Slot*>(slots.data), std::move(jobs), words.data};
}

// aead(form, seal, slots, data, jobs)
Napi::Value TestAead(const Napi::CallbackInfo& info, AeadByForm& forms) {
  AeadState& state = forms.Get(info[0].ToString());
  const auto run = info[1].ToBoolean().Value() ? AeadSealBatch : AeadOpenBatch;
  Jobs taken = TakeJobs(info, 2);
  run(state, taken.slots, taken.jobs.data(), taken.jobs.size());
  for (size_t i = 0; i < taken.jobs.size(); i++) {
    taken.words[i * Jobs::kWords + 4] = taken.jobs[i].good ? 1 : 0;
  }
  return info.Env().Undefined();
}

double NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// timeAead(form, slots, data, jobs, rounds, times): seals the same texts again and again, and then
// opens each time what was sealed in between.
Napi::Value TimeAead(const Napi::CallbackInfo& info, AeadByForm& forms) {
  AeadState& state = forms.Get(info[0].ToString());
  Jobs taken = TakeJobs(info, 1);
  AeadJob* jobs = taken.jobs.data();
  const size_t count = taken.jobs.size();
  const int32_t rounds = IntArgument(info, 4);
  const auto times = ArrayElements<double>(info.Env(), info[5], napi_float64_array, "times");
  Require(info, times.count == 2 && rounds > 0);
  const double start = NowNs();
  for (int32_t i = 0; i < rounds; i++) AeadSealBatch(state, taken.slots, jobs, count);
  times.data[0] = NowNs() - start;
  times.data[1] = 0;
  for (int32_t i = 0; i < rounds; i++) {
    AeadSealBatch(state, taken.slots, jobs, count);
    const double sealed = NowNs();
    AeadOpenBatch(state, taken.slots, jobs, count);
    times.data[1] += NowNs() - sealed;
  }
  return info.Env().Undefined();
}

// acceptCounter(window, counter)
Napi::Value TestAcceptCounter(const Napi::CallbackInfo& info) {
  const auto window = Bytes(info, 0);
  Require(info, window.count == sizeof(Replay) && info[1].IsBigInt());
  bool lossless = false;
  const uint64_t counter = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  Require(info, lossless);
  return Napi::Boolean::New(info.Env(),
                            AcceptCounter(*reinterpret_cast<Replay*>(window.data), counter));
}

}  // namespace

void RegisterTestExports(Napi::Env env, Napi::Object exports) {
  const auto forms = std::make_shared<AeadByForm>();
  const Napi::Object test = Napi::Object::New(env);
  test.Set("checksum", Napi::Function::New(env, TestChecksum));
  test.Set("segment", Napi::Function::New(env, TestSegment));
  test.Set("coalesce", Napi::Function::New(env, TestCoalesce));
  test.Set("aead", Napi::Function::New(env, [forms](const Napi::CallbackInfo& info) {
             return TestAead(info, *forms);
           }));
  test.Set("timeAead", Napi::Function::New(env, [forms](const Napi::CallbackInfo& info) {
             return TimeAead(info, *forms);
           }));
  test.Set("aeadForm", Napi::Function::New(env, [forms](const Napi::CallbackInfo& info) {
             return FormsInForce(info.Env(), forms->Get(info[0].ToString()));
           }));
  test.Set("acceptCounter", Napi::Function::New(env, TestAcceptCounter));
  exports.Set("test", test);
}

}  // namespace hawser
