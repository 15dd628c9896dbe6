// A data message (whitepaper 5.4.6), at the place where it is sent from:
//
//    0 u32 type 4    4 u32 receiver index    8 u64 counter    16 text, padded    +16 tag
//
// A VXLAN datagram (RFC 7348 section 5): header 8, inner Ethernet 14, packet.
#include "seal.h"

#include "checksum.h"
#include "segment.h"

namespace hawser {
namespace {

constexpr int32_t kMessageHeader = 16, kVxlanHeader = 22;
constexpr uint32_t kMessageData = 4;
constexpr int32_t kPadding = 16;
constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd;

// Trains start on a cache line and stay below what one UDP datagram may hold.
constexpr int64_t kTrainAlignment = 64;
constexpr int32_t kMaxTrain = 65000;

// Jobs that are collected before they are sealed: enough lanes for a multi-buffer form, and still
// in the second-level cache.
constexpr size_t kJobs = 128;

constexpr int64_t AlignUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// The padded length of a text. Padding never passes the MTU; of a packet that is larger only the
// part beyond a multiple of the MTU is looked at (calculate_skb_padding of the Linux driver).
int32_t PaddedLength(int32_t length, int32_t mtu) {
  const int32_t part = mtu > 0 && length > mtu ? length % mtu : length;
  const auto padded = static_cast<int32_t>(AlignUp(part, kPadding));
  return length - part + (mtu > 0 && padded > mtu ? mtu : padded);
}

// Takes `count` nonces at once. False when one of them would reach the slot's limit; then the
// counter is at or past the limit, and everybody is refused from now on.
bool TakeNonces(Slot& slot, uint64_t count, uint64_t* first) {
  const uint64_t limit = slot.reject_after_messages;
  // Limits are at most 2^53: what is added beyond them in vain, once per thread, cannot wrap.
  if (__atomic_load_n(&slot.send_counter, __ATOMIC_RELAXED) >= limit) return false;
  *first = __atomic_fetch_add(&slot.send_counter, count, __ATOMIC_RELAXED);
  return count <= limit && *first <= limit - count;
}

// A word of the state as a count of at most `most`.
int64_t StateCount(const Context& context, State word, int64_t most) {
  const double value = context.state[word];
  if (!(value > 0)) return 0;
  return value < static_cast<double>(most) ? static_cast<int64_t>(value) : most;
}

class Sealer {
 public:
  Sealer(Context& context, AeadState& aead)
      : c_(context),
        aead_(aead),
        trains_(static_cast<int32_t>(StateCount(context, kStateTrains, context.train_count))),
        bytes_(
            StateCount(context, kStateSendBytes, static_cast<int64_t>(context.send_slab_bytes))) {}

  // False: there is no room, and nothing was done.
  bool SealRow(Row& row);
  void Finish();

 private:
  // What a row makes: `count` datagrams, all `size` bytes but the last.
  struct Shape {
    Cut cut;
    bool vxlan;
    int32_t count, size, last_size;
  };

  int32_t Plan(const Row& row, Shape* shape) const;
  int32_t DatagramSize(const Row& row, const Shape& shape, int32_t index) const;
  bool Fits(const Row& row, const Shape& shape) const;
  bool Joins(const Train& train, const Row& row, int32_t size, bool last) const;
  uint8_t* Place(const Row& row, int32_t size, bool last);
  void WriteDatagrams(const Row& row, const Shape& shape, uint64_t first_counter);
  void WriteText(const Shape& shape, int32_t index, uint8_t* text, int32_t text_length);
  void Drop(Row& row, int32_t reason);
  void CountSent(const Row& row, const Shape& shape);
  void Flush();

  Context& c_;
  AeadState& aead_;
  int32_t trains_;
  int64_t bytes_;
  size_t job_count_ = 0;
  AeadJob jobs_[kJobs];
};

int32_t MostSegments(const Row& row) {
  const int32_t most = static_cast<int32_t>(static_cast<uint32_t>(row.pad_or_train) >> 16);
  return most > 1 ? most : 1;
}

bool Sealer::SealRow(Row& row) {
  Shape shape;
  const int32_t reason = Plan(row, &shape);
  if (reason != kDropNone) {
    Drop(row, reason);
    return true;
  }
  if (!Fits(row, shape)) {
    // With the slab empty it will never fit: not to be tried for ever.
    if (trains_ > 0) return false;
    Drop(row, kDropTooBig);
    return true;
  }
  uint64_t first_counter = 0;
  if (!shape.vxlan &&
      !TakeNonces(c_.slots[row.slot], static_cast<uint64_t>(shape.count), &first_counter)) {
    Drop(row, kDropKeyExhausted);
    return true;
  }
  WriteDatagrams(row, shape, first_counter);
  CountSent(row, shape);
  return true;
}

// Checks the row and works out its datagrams. Returns a drop reason or kDropNone.
int32_t Sealer::Plan(const Row& row, Shape* shape) const {
  const auto slab_bytes = static_cast<int64_t>(c_.slab_bytes);
  if (row.slot < 0 || row.slot >= static_cast<int32_t>(kSlots) || row.remote < 0 ||
      row.remote >= static_cast<int32_t>(kRemotes)) {
    return kDropNoSlot;
  }
  // A slot of another cable would send the packet to somebody else, readable.
  if (c_.slots[row.slot].cable != static_cast<uint32_t>(row.cable)) return kDropNoSlot;
  const uint32_t method = c_.slots[row.slot].method;
  if (method == kMethodFree || method > kVxlan) return kDropNoSlot;
  shape->vxlan = method == kVxlan;
  if (row.length < 0 || row.length > kRowBytes || row.offset < 0 ||
      int64_t{row.offset} + row.length > slab_bytes) {
    return kDropMalformedFrame;
  }
  if (row.length == 0) {
    if (shape->vxlan) return kDropMalformedFrame;  // there is no keepalive without a session
    shape->cut = Cut{};
    shape->cut.count = 1;
  } else if (!PlanCut(c_.slab + row.offset, row, &shape->cut)) {
    return kDropMalformedFrame;
  }
  shape->count = shape->cut.count;
  shape->size = DatagramSize(row, *shape, 0);
  shape->last_size = DatagramSize(row, *shape, shape->count - 1);
  return kDropNone;
}

int32_t Sealer::DatagramSize(const Row& row, const Shape& shape, int32_t index) const {
  const int32_t length = SegmentLength(shape.cut, index);
  if (shape.vxlan) return kVxlanHeader + length;
  return kMessageHeader + PaddedLength(length, row.pad_or_train & 0xffff) + kTagBytes;
}

// Whether the datagrams have room; exact in an empty slab. Joining the newest train cannot need
// more trains than leaving it, and costs at most one more alignment.
bool Sealer::Fits(const Row& row, const Shape& shape) const {
  const int64_t by_size = kMaxTrain / shape.size > 1 ? kMaxTrain / shape.size : 1;
  const int64_t per_train = by_size < MostSegments(row) ? by_size : MostSegments(row);
  const int64_t trains = (shape.count + per_train - 1) / per_train;
  const int64_t in_last = shape.count - (trains - 1) * per_train;
  const int64_t bytes = (trains - 1) * AlignUp(per_train * shape.size, kTrainAlignment) +
                        (in_last - 1) * shape.size + shape.last_size +
                        (trains_ > 0 ? kTrainAlignment : 0);
  return trains_ + trains <= c_.train_count &&
         AlignUp(bytes_, kTrainAlignment) + bytes <= static_cast<int64_t>(c_.send_slab_bytes);
}

// Whether a datagram may go to the end of this train, which is the newest one. `last`: it is the
// last of its row. A shorter one ends the train, so it may only be the last.
bool Sealer::Joins(const Train& train, const Row& row, int32_t size, bool last) const {
  if (train.sent != 0 || train.segment_size <= 0 || train.length % train.segment_size != 0) {
    return false;
  }
  if (size != train.segment_size && !(last && size < train.segment_size)) return false;
  if (train.length + size > kMaxTrain) return false;
  if (train.length / train.segment_size >= MostSegments(row)) return false;
  if (int64_t{train.offset} + train.length != bytes_) return false;
  return train.fd == row.fd && train.tos == row.tos && train.cable == row.cable &&
         memcmp(&train.remote, &c_.remotes[row.remote], sizeof(Remote)) == 0;
}

// Makes room for a datagram in the newest train or a new one.
uint8_t* Sealer::Place(const Row& row, int32_t size, bool last) {
  Train* train = trains_ > 0 ? &c_.trains[trains_ - 1] : nullptr;
  if (train == nullptr || !Joins(*train, row, size, last)) {
    bytes_ = AlignUp(bytes_, kTrainAlignment);
    train = &c_.trains[trains_++];
    *train = Train{};
    train->offset = static_cast<int32_t>(bytes_);
    train->segment_size = size;
    train->tos = row.tos;
    train->fd = row.fd;
    train->slot = row.slot;
    train->cable = row.cable;
    train->remote = c_.remotes[row.remote];
  }
  uint8_t* place = c_.send_slab + bytes_;
  train->length += size;
  bytes_ += size;
  return place;
}

void Sealer::WriteDatagrams(const Row& row, const Shape& shape, uint64_t first_counter) {
  const Slot& slot = c_.slots[row.slot];
  for (int32_t i = 0; i < shape.count; i++) {
    const bool last = i == shape.count - 1;
    const int32_t size = last ? shape.last_size : shape.size;
    uint8_t* datagram = Place(row, size, last);
    if (shape.vxlan) {
      memcpy(datagram, slot.vxlan_header, sizeof slot.vxlan_header);
      const bool ipv6 = shape.cut.packet[0] >> 4 == 6;
      Store16(datagram + sizeof slot.vxlan_header, ipv6 ? kEtherIpv6 : kEtherIpv4);
      WriteSegment(shape.cut, i, datagram + kVxlanHeader);
      continue;
    }
    const uint64_t counter = first_counter + static_cast<uint64_t>(i);
    memcpy(datagram, &kMessageData, 4);
    memcpy(datagram + 4, &slot.remote_index, 4);
    memcpy(datagram + 8, &counter, 8);
    uint8_t* text = datagram + kMessageHeader;
    const int32_t text_length = size - kMessageHeader - kTagBytes;
    WriteText(shape, i, text, text_length);
    if (job_count_ == kJobs) Flush();
    jobs_[job_count_++] = {text, static_cast<uint32_t>(text_length),
                           static_cast<uint32_t>(row.slot), counter, false};
  }
}

void Sealer::WriteText(const Shape& shape, int32_t index, uint8_t* text, int32_t text_length) {
  if (text_length == 0) return;
  WriteSegment(shape.cut, index, text);
  const int32_t length = SegmentLength(shape.cut, index);
  memset(text + length, 0, static_cast<size_t>(text_length - length));
}

void Sealer::Drop(Row& row, int32_t reason) {
  row.drop = reason;
  c_.Count(static_cast<uint32_t>(row.cable), static_cast<uint32_t>(reason),
           row.segments > 1 ? row.segments : 1);
}

void Sealer::CountSent(const Row& row, const Shape& shape) {
  const auto cable = static_cast<uint32_t>(row.cable);
  c_.Count(cable, kTxDatagrams, shape.count);
  c_.Count(cable, kTxBytes, double(shape.size) * (shape.count - 1) + shape.last_size);
  if (row.length == 0) {
    c_.Count(cable, kKeepalivesSent, 1);
    return;
  }
  c_.Count(cable, kTxPackets, shape.count);
  c_.Count(cable, kTxSuperpackets, 1);
}

void Sealer::Flush() {
  AeadSealBatch(aead_, c_.slots, jobs_, job_count_);
  job_count_ = 0;
}

void Sealer::Finish() {
  Flush();
  c_.state[kStateTrains] = trains_;
  c_.state[kStateSendBytes] = static_cast<double>(bytes_);
}

}  // namespace

int32_t Seal(Context& c, AeadState& a, int32_t first_row, int32_t end_row) {
  Sealer sealer(c, a);
  int32_t next = first_row < 0 ? 0 : first_row;
  if (end_row > c.row_count) end_row = c.row_count;
  for (; next < end_row; next++) {
    Row& row = c.rows[next];
    if (row.drop == kDropNone && !sealer.SealRow(row)) break;
  }
  sealer.Finish();
  return next;
}

}  // namespace hawser
