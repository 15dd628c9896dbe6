// describe: the layout that the addon was compiled with, by the names of the TypeScript constants,
// the CPU's features, and the forms of the AEAD, also those in force. A test compares the layout
// word by word.
#include <openssl/crypto.h>
#include <poll.h>
#include <sys/auxv.h>

#include "addon.h"
#include "aead.h"
#include "environment.h"
#include "napi-args.h"

namespace hawser {
namespace {

struct Named {
  const char* name;
  size_t value;
};

// Words are 32 bits wide; slots, replay windows and remotes count in bytes.
#define ROW_WORD(NAME, FIELD) \
  { "ROW." NAME, offsetof(Row, FIELD) / 4 }
#define TRAIN_WORD(NAME, FIELD) \
  { "TRAIN." NAME, offsetof(Train, FIELD) / 4 }
#define SLOT_BYTE(NAME, FIELD) \
  { "SLOT." NAME, offsetof(Slot, FIELD) }
#define REMOTE_BYTE(NAME, FIELD) \
  { "REMOTE." NAME, offsetof(Remote, FIELD) }

constexpr Named kMemory[] = {
    {"limits.cables", kCables},
    {"limits.slots", kSlots},
    {"limits.remotes", kRemotes},
    {"limits.indexEntries", kIndexEntries},
    {"method.free", kMethodFree},
    {"method.chacha20Poly1305", kChaCha20Poly1305},
    {"method.aes256Gcm", kAes256Gcm},
    {"method.vxlan", kVxlan},
    {"SLOT.BYTES", sizeof(Slot)},
    SLOT_BYTE("METHOD", method),
    SLOT_BYTE("GENERATION", generation),
    SLOT_BYTE("CABLE", cable),
    SLOT_BYTE("REMOTE_INDEX", remote_index),
    SLOT_BYTE("LOCAL_INDEX", local_index),
    SLOT_BYTE("FLAGS", flags),
    SLOT_BYTE("SEND_COUNTER", send_counter),
    SLOT_BYTE("REJECT_AFTER_MESSAGES", reject_after_messages),
    SLOT_BYTE("REKEY_AT_MESSAGES", rekey_at_messages),
    SLOT_BYTE("CREATED_AT_MS", created_at_ms),
    SLOT_BYTE("REKEY_AT_MS", rekey_at_ms),
    SLOT_BYTE("REJECT_AT_MS", reject_at_ms),
    SLOT_BYTE("SEND_KEY", send_key),
    SLOT_BYTE("RECEIVE_KEY", receive_key),
    SLOT_BYTE("VXLAN_HEADER", vxlan_header),
    {"REPLAY.BYTES", sizeof(Replay)},
    {"REPLAY.NEXT", offsetof(Replay, next)},
    {"REPLAY.RING", offsetof(Replay, ring)},
    {"REPLAY.WORDS", sizeof(Replay::ring) / sizeof(uint64_t)},
    {"REMOTE.BYTES", sizeof(Remote)},
    REMOTE_BYTE("FAMILY", family),
    REMOTE_BYTE("PORT", port),
    REMOTE_BYTE("SCOPE", scope),
    REMOTE_BYTE("ADDRESS", address),
    REMOTE_BYTE("SOURCE", source),
    REMOTE_BYTE("SOURCE_IFINDEX", source_ifindex),
};

constexpr Named kBatch[] = {
    {"ROW.WORDS", sizeof(Row) / 4},
    ROW_WORD("OFFSET", offset),
    ROW_WORD("LENGTH", length),
    ROW_WORD("DROP", drop),
    ROW_WORD("GSO", gso),
    ROW_WORD("GSO_SIZE", gso_size),
    ROW_WORD("CSUM", csum),
    ROW_WORD("HEADER_LENGTH", header_length),
    ROW_WORD("SEGMENTS", segments),
    ROW_WORD("SLOT", slot),
    ROW_WORD("REMOTE", remote),
    ROW_WORD("FD", fd),
    ROW_WORD("TOS", tos),
    ROW_WORD("CABLE", cable),
    ROW_WORD("PAD", pad_or_train),
    ROW_WORD("TRAIN", pad_or_train),
    ROW_WORD("PIECES", pieces),
    ROW_WORD("KIND", kind),
    {"KIND.data", kData},
    {"KIND.keepalive", kKeepalive},
    {"KIND.message", kMessage},
    {"TRAIN.WORDS", sizeof(Train) / 4},
    TRAIN_WORD("OFFSET", offset),
    TRAIN_WORD("LENGTH", length),
    TRAIN_WORD("SEGMENT_SIZE", segment_size),
    TRAIN_WORD("TOS", tos),
    TRAIN_WORD("FD", fd),
    TRAIN_WORD("SLOT", slot),
    TRAIN_WORD("SENT", sent),
    TRAIN_WORD("CABLE", cable),
    TRAIN_WORD("REMOTE", remote),
    TRAIN_WORD("DROP", drop),
    TRAIN_WORD("DROPPED", dropped),
    {"DROPPED_BITS", kDroppedBits},
    {"TRAIN_BYTES", kTrainBytes},
    {"TRAIN_HEADROOM", kTrainHeadroom},
    {"ROW_BYTES", kRowBytes},
    {"ROW_HEADROOM", kRowHeadroom},
    {"STATE.WORDS", kStateWords},
    {"STATE.NOW_MS", kStateNowMs},
    {"STATE.ERRNO", kStateErrno},
    {"STATE.DRAINED", kStateDrained},
    {"STATE.TRAINS", kStateTrains},
    {"STATE.SEND_BYTES", kStateSendBytes},
    {"STATE.COALESCE", kStateCoalesce},
    {"POLL.WORDS", 3},
    {"POLL.IN", POLLIN},
    {"POLL.OUT", POLLOUT},
    {"POLL.ERR", POLLERR},
    {"POLL.WAKE", kPollWake},
};

constexpr Named kCounters[] = {
    {"drop.none", kDropNone},
    {"drop.malformedFrame", kDropMalformedFrame},
    {"drop.malformedPacket", kDropMalformedPacket},
    {"drop.tooBig", kDropTooBig},
    {"drop.keyExhausted", kDropKeyExhausted},
    {"drop.malformedDatagram", kDropMalformedDatagram},
    {"drop.unknownIndex", kDropUnknownIndex},
    {"drop.keyExpired", kDropKeyExpired},
    {"drop.authenticationFailed", kDropAuthenticationFailed},
    {"drop.replayed", kDropReplayed},
    {"drop.counterExhausted", kDropCounterExhausted},
    {"drop.malformedInner", kDropMalformedInner},
    {"drop.truncatedDatagram", kDropTruncatedDatagram},
    {"drop.vxlanHeader", kDropVxlanHeader},
    {"drop.vxlanWrongMac", kDropVxlanWrongMac},
    {"drop.tunWriteFailed", kDropTunWriteFailed},
    {"drop.noSlot", kDropNoSlot},
    {"COUNTER.WORDS", kCounterWords},
    {"COUNTER.RX_DATAGRAMS", kRxDatagrams},
    {"COUNTER.RX_BYTES", kRxBytes},
    {"COUNTER.TX_DATAGRAMS", kTxDatagrams},
    {"COUNTER.TX_BYTES", kTxBytes},
    {"COUNTER.RX_PACKETS", kRxPackets},
    {"COUNTER.RX_SUPERPACKETS", kRxSuperpackets},
    {"COUNTER.TX_PACKETS", kTxPackets},
    {"COUNTER.TX_SUPERPACKETS", kTxSuperpackets},
    {"COUNTER.KEEPALIVES_SENT", kKeepalivesSent},
    {"COUNTER.KEEPALIVES_RECEIVED", kKeepalivesReceived},
    {"COUNTER.TRAINS", kTrains},
};

#undef ROW_WORD
#undef TRAIN_WORD
#undef SLOT_BYTE
#undef REMOTE_BYTE

template <size_t kCount>
void SetAll(Napi::Object object, const Named (&list)[kCount]) {
  for (const Named& entry : list) {
    object.Set(entry.name, Napi::Number::New(object.Env(), static_cast<double>(entry.value)));
  }
}

// Features that forms of the AEAD and of the checksum may ask for.
std::vector<const char*> CpuFeatures() {
  std::vector<const char*> found;
#if defined(__x86_64__)
#define FEATURE(NAME) \
  if (__builtin_cpu_supports(NAME)) found.push_back(NAME)
  FEATURE("ssse3");
  FEATURE("sse4.1");
  FEATURE("aes");
  FEATURE("pclmul");
  FEATURE("avx2");
  FEATURE("bmi2");
  FEATURE("avx512f");
  FEATURE("avx512bw");
  FEATURE("avx512vl");
  FEATURE("avx512ifma");
  FEATURE("vaes");
  FEATURE("vpclmulqdq");
#undef FEATURE
#elif defined(__aarch64__)
  const unsigned long hardware = getauxval(AT_HWCAP);
  if (hardware & HWCAP_ASIMD) found.push_back("asimd");
  if (hardware & HWCAP_AES) found.push_back("aes");
  if (hardware & HWCAP_PMULL) found.push_back("pmull");
  if (hardware & HWCAP_SHA2) found.push_back("sha2");
#endif
  return found;
}

const char* CipherName(Method method) {
  return method == kAes256Gcm ? "aes256Gcm" : "chacha20Poly1305";
}

Napi::Object Forms(Napi::Env env) {
  size_t count = 0;
  const AeadForm* list = AeadForms(&count);
  const Napi::Object forms = Napi::Object::New(env);
  for (size_t i = 0; i < count; ++i) {
    const std::string name = std::string(CipherName(list[i].method)) + "/" + list[i].name;
    forms.Set(name, Napi::Boolean::New(env, list[i].runs_here));
  }
  return forms;
}

}  // namespace

Napi::Object FormsInForce(Napi::Env env, const AeadState& state) {
  const Napi::Object forms = Napi::Object::New(env);
  for (const Method method : {kChaCha20Poly1305, kAes256Gcm}) {
    const AeadChoice choice = AeadFormInForce(state, method);
    const Napi::Object form = Napi::Object::New(env);
    form.Set("form", choice.form);
    form.Set("reason", choice.reason);
    forms.Set(CipherName(method), form);
  }
  return forms;
}

Napi::Value Describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object layout = Napi::Object::New(env);
  SetAll(layout, kMemory);
  SetAll(layout, kBatch);
  SetAll(layout, kCounters);

  const std::vector<const char*> features = CpuFeatures();
  Napi::Array cpu = Napi::Array::New(env, features.size());
  for (uint32_t i = 0; i < features.size(); ++i) cpu.Set(i, Napi::String::New(env, features[i]));

  auto* environment = static_cast<Environment*>(info.Data());
  Napi::Object result = Napi::Object::New(env);
  result.Set("layout", layout);
  result.Set("cpu", cpu);
  result.Set("forms", Forms(env));
  result.Set("aead", FormsInForce(env, *environment->aead));
  result.Set("openssl", Napi::String::New(env, OpenSSL_version(OPENSSL_VERSION_STRING)));
  return result;
}

}  // namespace hawser
