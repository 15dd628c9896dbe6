// Rows out of authenticated packets: consecutive TCP segments and equal UDP datagrams of one flow
// become one superpacket, so that the kernel walks its stack once for all of them.
//
// Nothing is copied: a row names its pieces where they lie, and the header of its first packet is
// rewritten in place when the row is closed. Merging only ever appends, and only what segmentation
// would cut again into the same packets. It never crosses a key slot: two peers may send the same
// 5-tuple. The order within a flow is kept: what cannot be appended closes the row of its flow.
// Rows stand in the order in which their first packets came.
//
// Checksums are verified before two packets are merged, because a superpacket carries an unfinished
// checksum, which would make a wrong one right. A packet with a wrong one goes on as it came,
// alone.
#pragma once
#include "layout.h"

namespace hawser {

// An authenticated packet: `length` is that of its IP header.
struct Packet {
  int32_t offset, length;
  int32_t slot, cable, tos, train;
};

class Coalescer {
 public:
  // Bits of state[kStateCoalesce].
  static constexpr uint32_t kTcp = 1, kUdp = 2;

  explicit Coalescer(Context& context);

  // Adds a packet as a row of its own or to an open row. False: the rows are full, it is lost.
  bool Add(const Packet& packet);

  // Appends an empty row for something that is no data: all words 0 but OFFSET .. TOS. Null: full.
  Row* AppendRow(const Packet& packet);

  // Closes all open rows. To be called once, at the end. Returns the number of rows.
  int32_t Finish();

 private:
  static constexpr int32_t kFlows = 256, kBuckets = 512, kParts = 2048, kMaxSegments = 128;

  // What a header says, as far as merging needs it.
  struct Parsed {
    const uint8_t* ip;
    const uint8_t* transport;
    int32_t network_length, header_length, payload;
    bool ipv6, tcp;
    enum : uint8_t { kNoFlow, kUnknownFlow, kAlone, kMergeable } kind;
  };

  // One direction of a 5-tuple within a slot, and its open row.
  struct Flow {
    int32_t slot, next;  // the next flow of the bucket, -1 at the end
    const uint8_t* ip;   // a header with its addresses and ports
    const uint8_t* transport;
    bool ipv6, tcp;
    bool verified;  // the checksums of the first packet
    bool push;      // PSH of the last packet
    int32_t row;    // the open row, -1: none
    int32_t header_length, gso_size;
    uint32_t sequence;  // that the next packet must have
    uint16_t id;        // the same
    int32_t first_part, last_part;
  };

  // A piece of an open row. They are in no order until the row is closed.
  struct Part {
    int32_t offset, length, next;
  };

  Parsed Parse(const Packet& packet) const;
  static void ParseTransport(Parsed* parsed, int32_t length);
  Flow* Find(const Parsed& parsed, int32_t slot, uint32_t bucket);
  Flow* Insert(const Parsed& parsed, int32_t slot, uint32_t bucket);
  bool Start(Flow& flow, const Parsed& parsed, const Packet& packet);
  bool Matches(const Flow& flow, const Parsed& parsed, const Packet& packet) const;
  bool Append(Flow& flow, const Parsed& parsed, const Packet& packet);
  int32_t NewPart(int32_t offset, int32_t length);
  void Close(Flow& flow);
  void RewriteHeader(const Flow& flow, const Row& row) const;
  void CloseAll();

  Context& context_;
  const uint32_t allowed_;
  int32_t row_count_ = 0;
  int32_t pieces_used_ = 0, pieces_promised_ = 0;  // written, and needed by open rows
  int32_t flow_count_ = 0, part_count_ = 0;
  Flow* last_ = nullptr;
  int16_t buckets_[kBuckets];
  Flow flows_[kFlows];
  Part parts_[kParts];
};

}  // namespace hawser
