// libFuzzer harness over segmentation, sealing, opening and coalescing, without Node. Built and run
// by scripts/fuzz-native with AddressSanitizer and UndefinedBehaviorSanitizer.
//
// The first byte of an input chooses what the rest means:
//   0  packets, made from templates with edits, arrive by VXLAN and are coalesced: cutting the rows
//      must give the same packets back, in order within each flow
//   1  rows with arbitrary words over an arbitrary slab are sealed, and what was sealed is opened
//   2  trains with arbitrary words over an arbitrary slab are opened
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aead.h"
#include "checksum.h"
#include "open.h"
#include "seal.h"
#include "segment.h"

namespace hawser {
namespace {

constexpr int32_t kRows = 300, kTrainsHere = 16, kPieces = 400, kSlabHere = 1 << 16;
constexpr int32_t kVxlanSlot = 1, kKeySlot = 2, kVxlanOverhead = 22;
constexpr uint8_t kMac[6] = {2, 0, 0, 0, 0, 9};

// The bytes of an input, one after the other; zeros when they are used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t Byte() {
    if (size_ == 0) return 0;
    size_--;
    return *data_++;
  }
  uint32_t Word() {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word = word << 8 | Byte();
    return word;
  }
  bool empty() const { return size_ == 0; }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Everything that a context borrows. Shared tables live as long as the process.
struct World {
  std::vector<uint8_t> slab, send_slab;
  std::vector<Row> rows;
  std::vector<Train> trains;
  std::vector<int32_t> pieces;
  double state[kStateWords] = {};
  Context c{};

  World()
      : slab(kSlabHere),
        send_slab(kSlabHere),
        rows(kRows),
        trains(kTrainsHere),
        pieces(kPieces * 2) {
    static auto* counters =
        static_cast<double*>(calloc((size_t{kCables} + 1) * kCounterWords, sizeof(double)));
    static auto* slots = static_cast<Slot*>(calloc(kSlots, sizeof(Slot)));
    static auto* replay = static_cast<Replay*>(calloc(kSlots, sizeof(Replay)));
    static auto* remotes = static_cast<Remote*>(calloc(kRemotes, sizeof(Remote)));
    static auto* indices = static_cast<int32_t*>(calloc(kIndexEntries, 2 * sizeof(int32_t)));
    c.slab = slab.data();
    c.slab_bytes = slab.size();
    c.rows = rows.data();
    c.row_count = kRows;
    c.trains = trains.data();
    c.train_count = kTrainsHere;
    c.pieces = pieces.data();
    c.piece_count = kPieces;
    c.send_slab = send_slab.data();
    c.send_slab_bytes = send_slab.size();
    c.state = state;
    c.counters = counters;
    c.slots = slots;
    c.replay = replay;
    c.remotes = remotes;
    c.indices = indices;
    state[kStateCoalesce] = 3;
    Publish();
  }

  void Publish() {
    Slot& vxlan = c.slots[kVxlanSlot];
    vxlan.method = kVxlan;
    vxlan.vxlan_header[0] = 8;
    memcpy(vxlan.vxlan_header + 14, kMac, sizeof kMac);
    vxlan.cable = kVxlanSlot;
    Slot& keyed = c.slots[kKeySlot];
    keyed.cable = kKeySlot;
    keyed.method = kChaCha20Poly1305;
    keyed.generation = 1;
    keyed.send_counter = 0;
    keyed.reject_after_messages = uint64_t{1} << 53;
    keyed.reject_at_ms = 1;
    c.replay[kKeySlot] = Replay{};
    c.indices[0] = 0;  // index 0, whose home is entry 0
    c.indices[1] = kKeySlot + 1;
  }
};

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

AeadState& Aead() {
  static AeadState* state = CreateAeadState();
  return *state;
}

using Bytes = std::vector<uint8_t>;

// Finishes all checksums of a packet of a template.
void FixChecksums(Bytes& packet, bool ipv6, bool tcp) {
  const size_t l4 = ipv6 ? 40 : 20;
  const size_t field = l4 + (tcp ? 16 : 6);
  if (packet.size() < field + 2) return;
  uint8_t* ip = packet.data();
  if (!ipv6) {
    Store16(ip + 10, 0);
    Store16(ip + 10, Checksum(Sum(ip, 20)));
  }
  Store16(ip + field, 0);
  const auto length = static_cast<uint16_t>(packet.size() - l4);
  const uint64_t sum = Sum(ip + (ipv6 ? 8 : 12), ipv6 ? 32 : 8) + SumWord(tcp ? 6 : 17) +
                       SumWord(length) + Sum(ip + l4, length);
  Store16(ip + field, tcp ? Checksum(sum) : UdpChecksum(sum));
}

// A packet of one of eight flows that goes on where `sequence` is, with edits from the input.
Bytes MakePacket(Input& input, uint32_t* sequence, uint16_t* id) {
  const uint8_t control = input.Byte();
  const bool ipv6 = (control & 1) != 0, tcp = (control & 2) != 0;
  const size_t payload = input.Byte();
  const size_t l4 = ipv6 ? 40 : 20;
  Bytes packet(l4 + (tcp ? 20 : 8) + payload);
  uint8_t* ip = packet.data();
  if (ipv6) {
    ip[0] = 0x60;
    ip[6] = tcp ? 6 : 17;
    Store16(ip + 4, static_cast<uint32_t>(packet.size() - 40));
  } else {
    ip[0] = 0x45;
    ip[9] = tcp ? 6 : 17;
    Store16(ip + 2, static_cast<uint32_t>(packet.size()));
    Store16(ip + 4, (*id)++);
  }
  uint8_t* transport = ip + l4;
  Store16(transport, control >> 2 & 1);
  if (tcp) {
    Store32(transport + 4, *sequence);
    transport[12] = 0x50;
    transport[13] = 0x10;
  } else {
    Store16(transport + 4, static_cast<uint32_t>(8 + payload));
  }
  *sequence += static_cast<uint32_t>(payload);
  for (int edits = control >> 4 & 3; edits > 0; edits--) {
    const size_t at = input.Byte();
    const uint8_t value = input.Byte();
    if (at < packet.size()) ip[at] = value;
  }
  if ((control & 8) == 0) FixChecksums(packet, ipv6, tcp);
  return packet;
}

// The packet without what carries no meaning: the id of IPv4 with DF, and which of the two zeros of
// one's complement arithmetic a checksum is.
Bytes Normalised(Bytes packet) {
  uint8_t* ip = packet.data();
  const bool ipv6 = ip[0] >> 4 == 6;
  const size_t field = (ipv6 ? 40 : 20) + size_t{16};
  if (!ipv6) {
    if (Load16(ip + 10) == 0xffff) Store16(ip + 10, 0);
    if ((ip[6] & 0x40) != 0 && ip[0] == 0x45 && Fold(Sum(ip, 20)) == 0xffff) {
      Store16(ip + 4, 0);
      Store16(ip + 10, 0);
    }
  }
  if (packet.size() >= field + 2 && Load16(ip + field) == 0xffff) Store16(ip + field, 0);
  return packet;
}

// Addresses, protocol and ports, as far as they are there.
std::string FlowOf(const Bytes& packet) {
  const bool ipv6 = packet[0] >> 4 == 6;
  const size_t first = ipv6 ? 8 : 12, end = std::min(packet.size(), size_t{ipv6 ? 44u : 24u});
  return std::string(packet.begin() + static_cast<long>(first),
                     packet.begin() + static_cast<long>(end)) +
         std::to_string(packet[ipv6 ? 6 : 9]);
}

using Flows = std::map<std::string, std::vector<Bytes>>;

// All packets that the rows [0, count) are cut into.
Flows CutRows(const World& world, int32_t count) {
  Flows flows;
  for (int32_t i = 0; i < count; i++) {
    const Row& row = world.rows[i];
    if (row.drop != kDropNone || row.kind != kData) continue;
    Bytes whole;
    const int32_t first = row.pieces & 0xffff, pieces = row.pieces >> 16;
    if (first + pieces > kPieces) Fail("pieces behind the table");
    for (int32_t piece = first; piece < first + pieces; piece++) {
      const uint8_t* part = world.slab.data() + world.pieces[piece * 2];
      whole.insert(whole.end(), part, part + world.pieces[piece * 2 + 1]);
    }
    if (pieces == 0) {
      whole.assign(world.slab.data() + row.offset, world.slab.data() + row.offset + row.length);
    }
    if (whole.size() != static_cast<size_t>(row.length)) Fail("pieces of another length");
    Cut cut;
    if (!PlanCut(whole.data(), row, &cut)) Fail("a coalesced row cannot be cut");
    if (cut.count != row.segments) Fail("a row has another number of segments");
    for (int32_t segment = 0; segment < cut.count; segment++) {
      Bytes packet(static_cast<size_t>(SegmentLength(cut, segment)));
      WriteSegment(cut, segment, packet.data());
      const std::string flow = FlowOf(packet);
      flows[flow].push_back(Normalised(std::move(packet)));
    }
  }
  return flows;
}

void FuzzCoalescing(Input& input) {
  World world;
  Flows sent;
  uint32_t sequences[4] = {};
  uint16_t ids[4] = {};
  int32_t train = 0, offset = kTrainHeadroom;
  for (; train < kTrainsHere && !input.empty(); train++) {
    const int flow = input.Byte() & 3;
    Train& words = world.trains[static_cast<size_t>(train)];
    words = Train{};
    words.offset = offset;
    words.slot = kVxlanSlot;
    for (int packets = 1 + (input.Byte() & 15); packets > 0; packets--) {
      const Bytes packet = MakePacket(input, &sequences[flow], &ids[flow]);
      const int32_t size = kVxlanOverhead + static_cast<int32_t>(packet.size());
      if (words.segment_size == 0) words.segment_size = size;
      // Edits change no length, so all are right but for these two.
      const uint8_t* ip = packet.data();
      const bool right = ip[0] == 0x45     ? Load16(ip + 2) == packet.size()
                         : ip[0] >> 4 == 6 ? Load16(ip + 4) + 40u == packet.size()
                                           : false;
      if (!right || size > words.segment_size) break;
      uint8_t* at = world.slab.data() + offset;
      memcpy(at, world.c.slots[kVxlanSlot].vxlan_header, 8);
      memcpy(at + 8, kMac, 6);
      Store16(at + 20, ip[0] == 0x45 ? 0x0800 : 0x86dd);
      memcpy(at + kVxlanOverhead, ip, packet.size());
      sent[FlowOf(packet)].push_back(Normalised(packet));
      offset += size;
      words.length += size;
      if (size < words.segment_size) break;
    }
  }
  const int32_t count = Open(world.c, Aead(), 0, train, 0);
  if (CutRows(world, count) != sent) Fail("coalescing changed the packets");
}

void FillSlab(World& world, Input& input) {
  for (int32_t i = 0; i < 2048 && !input.empty(); i++)
    world.slab[static_cast<size_t>(i)] = input.Byte();
}

void FuzzSealing(Input& input) {
  World world;
  const int32_t rows = 1 + (input.Byte() & 7);
  for (int32_t i = 0; i < rows; i++) {
    Row& row = world.rows[static_cast<size_t>(i)];
    row.offset = input.Byte();
    row.length = input.Byte() << 3 | (input.Byte() & 7);
    row.gso = input.Byte() & 7;
    row.gso_size = input.Byte() << (input.Byte() & 7);
    row.csum = static_cast<int32_t>(input.Word());
    row.header_length = input.Byte();
    row.slot = (input.Byte() & 7) == 0 ? kVxlanSlot : kKeySlot;
    row.cable = row.slot;
    row.pad_or_train = static_cast<int32_t>(input.Word());
  }
  world.state[kStateTrains] = input.Byte() & 7;
  world.state[kStateSendBytes] = input.Byte() << 8;
  const auto first_train = static_cast<int32_t>(world.state[kStateTrains]);
  FillSlab(world, input);
  const int32_t end = Seal(world.c, Aead(), 0, rows);
  if (end < 0 || end > rows) Fail("seal returned a row that there is not");
  const auto trains = static_cast<int32_t>(world.state[kStateTrains]);
  if (trains > kTrainsHere || world.state[kStateSendBytes] > kSlabHere) Fail("seal went too far");

  double sealed = 0;
  for (int32_t i = 0; i < end; i++) {
    const Row& row = world.rows[static_cast<size_t>(i)];
    if (row.drop == kDropNone && row.slot == kKeySlot) sealed++;
  }
  world.slab = world.send_slab;
  world.c.slab = world.slab.data();
  for (int32_t i = first_train; i < trains; i++) {
    Train& train = world.trains[static_cast<size_t>(i)];
    if (train.slot != kVxlanSlot) train.slot = -1;
  }
  double& failed = world.c.counters[kKeySlot * kCounterWords + kDropAuthenticationFailed];
  failed = 0;
  const int32_t count = Open(world.c, Aead(), first_train, trains, 0);
  if (failed != 0) Fail("what was sealed does not open");
  if (sealed > 0 && count == 0) Fail("what was sealed gave no row");
}

void FuzzOpening(Input& input) {
  World world;
  const int32_t trains = 1 + (input.Byte() & 15);
  for (int32_t i = 0; i < trains; i++) {
    Train& train = world.trains[static_cast<size_t>(i)];
    train.offset = input.Byte() << (input.Byte() & 15);
    train.length = input.Byte() << (input.Byte() & 15);
    // Trains of single bytes take long and tell nothing new.
    train.segment_size = 16 + (input.Byte() << (input.Byte() & 7));
    train.slot = (input.Byte() & 3) - 1;
  }
  FillSlab(world, input);
  const int32_t count = Open(world.c, Aead(), 0, trains, 0);
  if (count < 0 || count > kRows) Fail("open returned rows that there are not");
}

}  // namespace
}  // namespace hawser

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hawser::Input input(data, size);
  switch (input.Byte() % 3) {
    case 0:
      hawser::FuzzCoalescing(input);
      break;
    case 1:
      hawser::FuzzSealing(input);
      break;
    default:
      hawser::FuzzOpening(input);
  }
  return 0;
}
