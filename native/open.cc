// The way of a datagram: receiver index -> slot -> AEAD with the others of its batch -> replay
// window -> inner header -> row. Slots and the index table are JavaScript's; only the replay window
// is written here. What is no data message goes to JavaScript untouched, in its place in the order.
#include "open.h"

#include "checksum.h"
#include "coalesce.h"
#include "replay.h"

namespace hawser {
namespace {

constexpr int32_t kMessageHeader = 16, kLeastMessage = kMessageHeader + kTagBytes;
constexpr uint32_t kMessageData = 4;
constexpr int32_t kVxlanHeader = 8, kEthernetHeader = 14;
constexpr int32_t kOuterHeaders = kVxlanHeader + kEthernetHeader;
constexpr uint8_t kVxlanValid = 0x08;
constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherArp = 0x0806;
constexpr int32_t kIpv4Header = 20, kIpv6Header = 40;

// Datagrams that are opened as one batch.
constexpr size_t kBatch = 128;

// The length of the IP packet at the start of `bytes`, or 0 if there is no whole one. In 32 bits:
// 40 + payload length does not fit 16.
int32_t InnerLength(const uint8_t* bytes, int32_t length) {
  if (length < kIpv4Header) return 0;
  const int version = bytes[0] >> 4;
  if (version == 4) {
    const int32_t header = (bytes[0] & 15) * 4, total = Load16(bytes + 2);
    return header >= kIpv4Header && total >= header && total <= length ? total : 0;
  }
  if (version != 6 || length < kIpv6Header) return 0;
  const int32_t total = kIpv6Header + Load16(bytes + 4);
  return total <= length ? total : 0;
}

class Opener {
 public:
  Opener(Context& context, AeadState& aead, double now_ms)
      : c_(context), aead_(aead), now_ms_(now_ms), rows_(context) {}

  void AddTrain(int32_t number);
  int32_t Finish();

 private:
  // A datagram that waits for its batch. Jobs are in the same order, one for each sealed one.
  struct Waiting {
    Packet packet;
    bool sealed;
  };

  void AddDatagram(const Packet& datagram);
  bool AddJob(const Packet& datagram, const Slot& slot);
  int32_t FindSlot(uint32_t index) const;
  void Flush();
  void FinishDatagram(const Packet& datagram, const AeadJob& job);
  void AddInner(const Packet& packet);
  void AddMessage(const Packet& packet);
  void Decapsulate(const Packet& datagram);
  void CountReceived(int32_t cable, int32_t bytes);
  void Drop(const Packet& datagram, int32_t reason);
  void CountDrop(int32_t cable, int32_t reason) {
    c_.Count(static_cast<uint32_t>(cable), static_cast<uint32_t>(reason), 1);
  }

  Context& c_;
  AeadState& aead_;
  const double now_ms_;
  Coalescer rows_;
  size_t waiting_count_ = 0, job_count_ = 0;
  Waiting waiting_[kBatch];
  AeadJob jobs_[kBatch];
};

void Opener::AddTrain(int32_t number) {
  const Train& train = c_.trains[number];
  if (train.length <= 0) return;
  if (train.offset < 0 ||
      int64_t{train.offset} + train.length > static_cast<int64_t>(c_.slab_bytes)) {
    return CountDrop(-1, kDropMalformedDatagram);
  }
  const int32_t size = train.segment_size > 0 ? train.segment_size : train.length;
  const bool vxlan = train.slot >= 0;
  if (vxlan) {
    Flush();  // the order of rows is the order of datagrams
    if (train.slot >= static_cast<int32_t>(kSlots) || c_.slots[train.slot].method != kVxlan) {
      return CountDrop(-1, kDropUnknownIndex);
    }
  }
  Packet datagram{};
  datagram.slot = vxlan ? train.slot : -1;
  datagram.cable = vxlan ? static_cast<int32_t>(c_.slots[train.slot].cable) : -1;
  datagram.tos = train.tos;
  datagram.train = number;
  for (int32_t at = 0; at < train.length; at += datagram.length) {
    datagram.offset = train.offset + at;
    datagram.length = size < train.length - at ? size : train.length - at;
    if (vxlan) {
      Decapsulate(datagram);
    } else {
      AddDatagram(datagram);
    }
  }
}

int32_t Opener::Finish() {
  Flush();
  const int32_t count = rows_.Finish();
  for (int32_t i = 0; i < count; i++) {
    const Row& row = c_.rows[i];
    if (row.kind != kData || row.drop != kDropNone) continue;
    c_.Count(static_cast<uint32_t>(row.cable), kRxSuperpackets, 1);
    c_.Count(static_cast<uint32_t>(row.cable), kRxPackets, row.segments);
  }
  return count;
}

// Takes a datagram into the batch: as a job, or as a message that waits for its turn.
void Opener::AddDatagram(const Packet& datagram) {
  const uint8_t* bytes = c_.slab + datagram.offset;
  Packet packet = datagram;
  uint32_t type = 0, index;
  if (datagram.length >= 4) memcpy(&type, bytes, 4);
  const bool sealed = datagram.length >= kLeastMessage && type == kMessageData;
  if (sealed) {
    memcpy(&index, bytes + 4, 4);
    packet.slot = FindSlot(index);
    if (packet.slot < 0) return Drop(packet, kDropUnknownIndex);
    const Slot& slot = c_.slots[packet.slot];
    packet.cable = static_cast<int32_t>(slot.cable);
    if (!AddJob(packet, slot)) return;
  }
  waiting_[waiting_count_++] = {packet, sealed};
  if (waiting_count_ == kBatch) Flush();
}

// False: the key is not valid for this datagram.
bool Opener::AddJob(const Packet& datagram, const Slot& slot) {
  uint8_t* bytes = c_.slab + datagram.offset;
  uint64_t counter;
  memcpy(&counter, bytes + 8, 8);
  int32_t reason = kDropNone;
  if (!(now_ms_ < slot.reject_at_ms)) reason = kDropKeyExpired;
  if (counter >= slot.reject_after_messages) reason = kDropCounterExhausted;
  if (reason != kDropNone) {
    Drop(datagram, reason);
    return false;
  }
  jobs_[job_count_++] = {bytes + kMessageHeader,
                         static_cast<uint32_t>(datagram.length - kLeastMessage),
                         static_cast<uint32_t>(datagram.slot), counter, false};
  return true;
}

// Linear probing from the home of the index, see `indices` in src/tables/shared.ts. -1: not there.
int32_t Opener::FindSlot(uint32_t index) const {
  uint32_t entry = index * 0x9e3779b1u >> 15;
  for (uint32_t probe = 0; probe < kIndexEntries; probe++) {
    const int32_t* words = c_.indices + entry * 2;
    if (words[1] == 0) return -1;
    if (static_cast<uint32_t>(words[0]) == index) {
      const int32_t slot = words[1] - 1;
      if (slot < 0 || slot >= static_cast<int32_t>(kSlots)) return -1;
      const uint32_t method = c_.slots[slot].method;
      return method == kChaCha20Poly1305 || method == kAes256Gcm ? slot : -1;
    }
    entry = (entry + 1) % kIndexEntries;
  }
  return -1;
}

// Opens the batch, then turns what waits into rows, in the order of arrival.
void Opener::Flush() {
  AeadOpenBatch(aead_, c_.slots, jobs_, job_count_);
  const AeadJob* job = jobs_;
  for (size_t i = 0; i < waiting_count_; i++) {
    if (waiting_[i].sealed) {
      FinishDatagram(waiting_[i].packet, *job++);
    } else {
      AddMessage(waiting_[i].packet);
    }
  }
  waiting_count_ = 0;
  job_count_ = 0;
}

void Opener::FinishDatagram(const Packet& datagram, const AeadJob& job) {
  if (!job.good) return Drop(datagram, kDropAuthenticationFailed);
  if (!AcceptCounter(c_.replay[datagram.slot], job.counter)) {
    return Drop(datagram, kDropReplayed);
  }
  CountReceived(datagram.cable, datagram.length);
  Packet packet = datagram;
  packet.offset += kMessageHeader;
  packet.length -= kLeastMessage;
  if (packet.length > 0) return AddInner(packet);
  Row* row = rows_.AppendRow(packet);
  if (row == nullptr) return CountDrop(packet.cable, kDropMalformedDatagram);
  row->kind = kKeepalive;
  c_.Count(static_cast<uint32_t>(packet.cable), kKeepalivesReceived, 1);
}

// An inner packet with whatever padding follows it.
void Opener::AddInner(const Packet& padded) {
  Packet packet = padded;
  packet.length = InnerLength(c_.slab + packet.offset, packet.length);
  if (packet.length > 0) {
    if (!rows_.Add(packet)) CountDrop(packet.cable, kDropMalformedDatagram);
    return;
  }
  // Whoever judges the rows counts it.
  Row* row = rows_.AppendRow(padded);
  if (row != nullptr) row->drop = kDropMalformedInner;
}

void Opener::AddMessage(const Packet& packet) {
  Row* row = rows_.AppendRow(packet);
  if (row == nullptr) return CountDrop(packet.cable, kDropMalformedDatagram);
  row->kind = kMessage;
}

// A VXLAN datagram. Reserved bits are ignored (RFC 7348 section 5).
void Opener::Decapsulate(const Packet& datagram) {
  const uint8_t* bytes = c_.slab + datagram.offset;
  const uint8_t* expected = c_.slots[datagram.slot].vxlan_header;
  if (datagram.length < kOuterHeaders || (bytes[0] & kVxlanValid) == 0 ||
      memcmp(bytes + 4, expected + 4, 3) != 0) {
    return Drop(datagram, kDropVxlanHeader);
  }
  const uint8_t* frame = bytes + kVxlanHeader;
  const uint16_t ether_type = Load16(frame + 12);
  const bool mine = memcmp(frame, expected + 14, 6) == 0;
  static const uint8_t kBroadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const bool arp = ether_type == kEtherArp;
  if (!mine && !(arp && memcmp(frame, kBroadcast, 6) == 0)) {
    return Drop(datagram, kDropVxlanWrongMac);
  }
  const int version = datagram.length > kOuterHeaders ? bytes[kOuterHeaders] >> 4 : 0;
  if (!arp && !(ether_type == kEtherIpv4 && version == 4) &&
      !(ether_type == kEtherIpv6 && version == 6)) {
    return Drop(datagram, kDropVxlanHeader);
  }
  Packet packet = datagram;
  packet.offset += arp ? kVxlanHeader : kOuterHeaders;
  packet.length -= arp ? kVxlanHeader : kOuterHeaders;
  if (arp) return AddMessage(packet);
  CountReceived(datagram.cable, datagram.length);
  AddInner(packet);
}

// Counts a datagram that goes no further, and tells whoever looks which one of its train it was.
void Opener::Drop(const Packet& datagram, int32_t reason) {
  CountDrop(datagram.cable, reason);
  Train& train = c_.trains[datagram.train];
  if (train.drop == kDropNone) train.drop = reason;
  const int32_t size = train.segment_size > 0 ? train.segment_size : train.length;
  const int32_t index = (datagram.offset - train.offset) / size;
  if (train.drop != reason || index >= kDroppedBits) return;
  train.dropped[index / 32] |= uint32_t{1} << (index % 32);
}

void Opener::CountReceived(int32_t cable, int32_t bytes) {
  c_.Count(static_cast<uint32_t>(cable), kRxDatagrams, 1);
  c_.Count(static_cast<uint32_t>(cable), kRxBytes, bytes);
}

}  // namespace

int32_t Open(Context& c, AeadState& a, int32_t first_train, int32_t end_train, double now_ms) {
  Opener opener(c, a, now_ms);
  if (end_train > c.train_count) end_train = c.train_count;
  for (int32_t train = first_train < 0 ? 0 : first_train; train < end_train; train++) {
    opener.AddTrain(train);
  }
  return opener.Finish();
}

}  // namespace hawser
