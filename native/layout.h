// The numbers of src/tables/shared.ts, src/tables/counters.ts and src/packet/batch.ts.
// describe() reports them all, and test/unit/native/layout.test.ts compares the two sides.
#pragma once
#include <cstddef>
#include <cstdint>

namespace hawser {

constexpr uint32_t kCables = 16384, kSlots = 65536, kRemotes = 32768, kIndexEntries = 131072;

enum Method : uint32_t { kMethodFree = 0, kChaCha20Poly1305 = 1, kAes256Gcm = 2, kVxlan = 3 };

struct Slot {  // 256 bytes, see SLOT
  uint32_t method, generation, cable, remote_index, local_index, flags;
  uint64_t send_counter;  // atomic
  uint64_t reject_after_messages;
  double rekey_at_messages, created_at_ms, rekey_at_ms, reject_at_ms;
  uint8_t reserved[24];
  uint8_t send_key[32], receive_key[32];
  uint8_t vxlan_header[20];
  uint8_t tail[76];
};
static_assert(sizeof(Slot) == 256 && offsetof(Slot, send_key) == 96 &&
              offsetof(Slot, vxlan_header) == 160);

struct Replay {  // see REPLAY
  uint64_t next;
  uint64_t ring[128];
};
static_assert(sizeof(Replay) == 1032);

struct Remote {  // 64 bytes, see REMOTE
  uint16_t family, port;
  uint32_t scope;
  uint8_t address[16], source[16];
  uint32_t source_ifindex;
  uint8_t tail[20];
};
static_assert(sizeof(Remote) == 64);

struct Row {  // 64 bytes, see ROW
  int32_t offset, length, drop, gso, gso_size, csum, header_length, segments;
  int32_t slot, remote, fd, tos, cable, pad_or_train, pieces, kind;
};
static_assert(sizeof(Row) == 64);

enum Kind : int32_t { kData = 0, kKeepalive = 1, kMessage = 2 };

struct Train {  // 128 bytes, see TRAIN
  int32_t offset, length, segment_size, tos, fd, slot, sent, cable;
  Remote remote;
  int32_t drop;
  uint32_t dropped[4];
  int32_t tail[3];
};
static_assert(sizeof(Train) == 128);
constexpr int32_t kDroppedBits = 128;

constexpr int32_t kTrainBytes = 65536 + 128, kTrainHeadroom = 64;
constexpr int32_t kRowBytes = 65535, kRowHeadroom = 64;

enum State {
  kStateNowMs = 0,
  kStateErrno = 1,
  kStateDrained = 2,
  kStateTrains = 3,
  kStateSendBytes = 4,
  kStateCoalesce = 5,
  kStateWords = 16
};

constexpr int32_t kPollWake = 0x10000;

constexpr int32_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5;

// Drop reasons that the addon sets, and counter columns that it adds to (counters.ts).
enum Drop : int32_t {
  kDropNone = 0,
  kDropMalformedFrame = 1,
  kDropMalformedPacket = 2,
  kDropTooBig = 6,
  kDropKeyExhausted = 10,
  kDropMalformedDatagram = 13,
  kDropUnknownIndex = 14,
  kDropKeyExpired = 15,
  kDropAuthenticationFailed = 16,
  kDropReplayed = 17,
  kDropCounterExhausted = 18,
  kDropMalformedInner = 19,
  kDropTruncatedDatagram = 22,
  kDropVxlanHeader = 35,
  kDropVxlanWrongMac = 37,
  kDropTunWriteFailed = 40,
  kDropNoSlot = 23
};
constexpr uint32_t kCounterWords = 64;
enum Counter : uint32_t {
  kRxDatagrams = 48,
  kRxBytes = 49,
  kTxDatagrams = 50,
  kTxBytes = 51,
  kRxPackets = 52,
  kRxSuperpackets = 53,
  kTxPackets = 54,
  kTxSuperpackets = 55,
  kKeepalivesSent = 59,
  kKeepalivesReceived = 60,
  kTrains = 62
};

// What createContext was given: borrowed pointers with their sizes, kept alive by references.
struct Context {
  uint8_t* slab;
  size_t slab_bytes;
  Row* rows;
  int32_t row_count;
  Train* trains;
  int32_t train_count;
  int32_t* pieces;
  int32_t piece_count;  // pairs
  uint8_t* send_slab;
  size_t send_slab_bytes;
  double* state;
  int32_t* polls;
  int32_t poll_count;  // triples
  double* counters;
  Slot* slots;
  Replay* replay;
  Remote* remotes;
  int32_t* indices;

  // Counts `n` of a drop reason or counter column under a cable (kCables: no known cable).
  void Count(uint32_t cable, uint32_t column, double n) {
    counters[size_t{cable < kCables ? cable : kCables} * kCounterWords + column] += n;
  }
};

}  // namespace hawser
