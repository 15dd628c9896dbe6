// The part of the ChaCha20-Poly1305 kernels that does not depend on instructions: which block of
// which packet goes to which lane, and in what order texts, keys and tags are dealt with.
//
// A kernel makes the key stream of a pass of lanes and the tags of a group of packets. The blocks
// of a batch are dealt out to lanes one packet after the other, block 0 (the Poly1305 key) like all
// others, so that no lane stays empty but in the last pass. Packets are taken in the order of their
// lengths, so that those of one group need about the same number of steps.
//
// Branches and addresses depend on lengths and on whether a tag was right, on nothing else.
#pragma once
#include <algorithm>

#include "aead-kernel.h"

namespace hawser {

constexpr int kBlockBytes = 64;

struct ChaChaPacket {
  uint8_t* text;
  uint32_t length, salt;
  const uint8_t* key;
  uint64_t counter;
  AeadJob* job;
};

// Consecutive blocks of one packet in consecutive lanes of one pass.
struct ChaChaRun {
  uint32_t packet, first_block;
  uint8_t lane, count;
};

// A run does not cross from one set of lanes into the next.
template <int kSetLanes, int kPassLanes>
struct ChaChaScratch {
  static constexpr int kSet = kSetLanes, kPass = kPassLanes;

  alignas(64) uint8_t stream[kPassLanes][kBlockBytes];
  alignas(64) uint8_t poly_keys[kKernelJobs][32];
  alignas(64) ChaChaPacket packets[kKernelJobs];
  uint64_t order[kKernelJobs];
  ChaChaRun runs[kPassLanes];
  bool good[kKernelJobs];
};

// Where additional data and texts of a group of packets are, for Poly1305 in steps of four blocks.
// The last step takes up to three blocks of text and the block of lengths (RFC 8439 2.8), in each
// packet; those before it are counted backwards from there. A block before the beginning of a text
// is zero and leaves the sum at zero, so that packets of different lengths end at the same step.
template <int kGroup>
struct PolyTexts {
  const uint8_t* tail[kGroup];  // the last three blocks; may lie before the beginning
  int32_t tail_block[kGroup];   // the number of the first of them; may be negative
  int32_t tail_end[kGroup];     // where the text ends, from the tail on: at most 48
  uint32_t length[kGroup], additional[kGroup];
  int32_t steps, full_steps;  // before the last one; those in which every packet has 64 bytes

  // Lanes without a packet repeat the first one.
  void Load(const ChaChaPacket* packets, int count) {
    int32_t least = INT32_MAX, most = INT32_MIN;
    for (int i = 0; i < kGroup; i++) {
      const ChaChaPacket& packet = packets[i < count ? i : 0];
      const uint32_t room = packet.job->additional_room();
      const int32_t block = static_cast<int32_t>((room + packet.length + 15) / 16) - 3;
      tail_block[i] = block;
      tail_end[i] = static_cast<int32_t>(room + packet.length) - 16 * block;
      tail[i] = packet.text - room + int64_t{block} * 16;
      length[i] = packet.length;
      additional[i] = packet.job->additional;
      least = std::min(least, block);
      most = std::max(most, block);
    }
    steps = most > 0 ? (most + 3) / 4 : 0;
    full_steps = least > 0 ? least / 4 : 0;
  }
};

// `Form` has a Scratch, which is a ChaChaScratch, a number of packets kGroup, and the functions
// MakeStream, AddStream and Tags. It has to be local to its file.
template <typename Form>
class ChaChaBatch {
  using Scratch = typename Form::Scratch;

 public:
  static void Seal(void* memory, const KeyedJob* jobs, size_t count) {
    auto& scratch = *static_cast<Scratch*>(memory);
    TakeJobs(scratch, jobs, count);
    Dealer dealer(scratch, count, 0, UINT32_MAX);
    while (const int runs = dealer.Next()) {
      Form::MakeStream(scratch, runs, dealer.lanes());
      UseStream(scratch, runs, true, true);
    }
    Tags(scratch, count, true);
    GiveBack(scratch, count);
  }

  static void Open(void* memory, const KeyedJob* jobs, size_t count) {
    auto& scratch = *static_cast<Scratch*>(memory);
    TakeJobs(scratch, jobs, count);
    size_t blocks = 0;
    for (size_t i = 0; i < count; i++) blocks += EndBlock(scratch.packets[i]);
    const bool one_pass = blocks <= Scratch::kPass;
    Dealer keys(scratch, count, 0, one_pass ? UINT32_MAX : 1);
    int runs;
    while ((runs = keys.Next()) > 0) {
      Form::MakeStream(scratch, runs, keys.lanes());
      UseStream(scratch, runs, true, false);
      if (one_pass) break;
    }
    Tags(scratch, count, false);
    if (one_pass) {  // the stream of the texts is still there
      UseStream(scratch, runs, false, true);
      return GiveBack(scratch, count);
    }
    Dealer texts(scratch, count, 1, UINT32_MAX);
    while ((runs = texts.Next()) > 0) {
      Form::MakeStream(scratch, runs, texts.lanes());
      UseStream(scratch, runs, false, true);
    }
    GiveBack(scratch, count);
  }

 private:
  // Deals out blocks `first` up to `end` of each packet, as far as it has them, to passes of lanes.
  class Dealer {
   public:
    Dealer(Scratch& scratch, size_t packets, uint32_t first, uint32_t end)
        : scratch_(scratch), packets_(packets), first_(first), end_(end), block_(first) {}

    // Makes the runs of the next pass and returns their number, 0 at the end.
    int Next() {
      int count = 0;
      lanes_ = 0;
      while (lanes_ < Scratch::kPass && packet_ < packets_) {
        const uint32_t end = std::min(end_, EndBlock(scratch_.packets[packet_]));
        if (block_ >= end || !scratch_.good[packet_]) {
          packet_++;
          block_ = first_;
          continue;
        }
        const uint32_t room = Scratch::kSet - lanes_ % Scratch::kSet;
        const uint32_t taken = std::min(end - block_, room);
        scratch_.runs[count++] = {static_cast<uint32_t>(packet_), block_,
                                  static_cast<uint8_t>(lanes_), static_cast<uint8_t>(taken)};
        block_ += taken;
        lanes_ += static_cast<int>(taken);
      }
      return count;
    }
    int lanes() const { return lanes_; }

   private:
    Scratch& scratch_;
    const size_t packets_;
    const uint32_t first_, end_;
    size_t packet_ = 0;
    uint32_t block_;
    int lanes_ = 0;
  };

  // Blocks of a packet; the text begins at block 1.
  static uint32_t EndBlock(const ChaChaPacket& packet) {
    return (packet.length + kBlockBytes - 1) / kBlockBytes + 1;
  }

  static void TakeJobs(Scratch& scratch, const KeyedJob* jobs, size_t count) {
    uint64_t* order = scratch.order;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
      order[i] = uint64_t{~jobs[i].job->length} << 32 | i;  // the longest first
      sorted &= i == 0 || order[i - 1] < order[i];
    }
    if (!sorted) std::sort(order, order + count);
    for (size_t i = 0; i < count; i++) {
      const KeyedJob& from = jobs[order[i] & UINT32_MAX];
      AeadJob* job = from.job;
      scratch.packets[i] = {job->text, job->length, job->salt, from.key, job->counter, job};
      scratch.good[i] = true;
    }
  }

  // Puts the stream of a pass to use: block 0 is kept for Poly1305, the others go into the texts.
  static void UseStream(Scratch& scratch, int runs, bool keys, bool texts) {
    for (const ChaChaRun* run = scratch.runs; run != scratch.runs + runs; run++) {
      const ChaChaPacket& packet = scratch.packets[run->packet];
      const uint8_t* stream = scratch.stream[run->lane];
      uint32_t first = run->first_block, count = run->count;
      if (first == 0) {
        if (keys) memcpy(scratch.poly_keys[run->packet], stream, 32);
        stream += kBlockBytes;
        first++;
        count--;
      }
      if (!texts || count == 0 || !scratch.good[run->packet]) continue;
      const size_t offset = size_t{first - 1} * kBlockBytes;
      const size_t rest = packet.length - offset;
      Form::AddStream(packet.text + offset, stream, std::min(rest, size_t{count} * kBlockBytes));
    }
  }

  // The tags of all packets: written behind the texts, or compared with what stands there.
  static void Tags(Scratch& scratch, size_t count, bool seal) {
    for (size_t first = 0; first < count; first += Form::kGroup) {
      const int here = static_cast<int>(std::min<size_t>(Form::kGroup, count - first));
      uint64_t tags[2][Form::kGroup];
      Form::Tags(scratch.packets + first, scratch.poly_keys + first, here, tags);
      for (int i = 0; i < here; i++) {
        const ChaChaPacket& packet = scratch.packets[first + i];
        uint8_t* tag = packet.text + packet.length;
        if (seal) {
          memcpy(tag, &tags[0][i], 8);
          memcpy(tag + 8, &tags[1][i], 8);
          continue;
        }
        uint64_t low, high;
        memcpy(&low, tag, 8);
        memcpy(&high, tag + 8, 8);
        scratch.good[first + i] = ((low ^ tags[0][i]) | (high ^ tags[1][i])) == 0;
      }
    }
  }

  static void GiveBack(Scratch& scratch, size_t count) {
    for (size_t i = 0; i < count; i++) {
      const ChaChaPacket& packet = scratch.packets[i];
      packet.job->good = scratch.good[i];
      if (!scratch.good[i]) memset(packet.text, 0, packet.length);
    }
  }
};

}  // namespace hawser
