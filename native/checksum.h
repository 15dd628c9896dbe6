// The Internet checksum (RFC 1071): sums of 16-bit words in one's complement arithmetic.
//
// A sum is 64 bits wide and unfolded, so that parts can be added to each other with a plain `+`;
// it is kept in the byte order of the machine (RFC 1071 section 2(B)), which is why `Fold` swaps.
// Every part but the last of a sum must have an even length.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hawser {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the shared memory is little-endian");

// The unfolded sum of `length` bytes; length below 2^32.
uint64_t Sum(const uint8_t* bytes, size_t length);

// The sum of a 16-bit word in the order of the machine.
constexpr uint64_t SumWord(uint16_t word) { return static_cast<uint16_t>(word << 8 | word >> 8); }

// Folds a sum to 16 bits, not complemented.
constexpr uint16_t Fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum << 8 | (sum >> 8 & 0xff));
}

// The checksum field of a sum.
constexpr uint16_t Checksum(uint64_t sum) { return static_cast<uint16_t>(~Fold(sum)); }

// The same for UDP, where 0 means "none" and is sent as 0xffff (RFC 768).
constexpr uint16_t UdpChecksum(uint64_t sum) {
  const uint16_t checksum = Checksum(sum);
  return checksum == 0 ? uint16_t{0xffff} : checksum;
}

// Big-endian words of a packet.
inline uint16_t Load16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
inline uint32_t Load32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | at[1] << 16 | at[2] << 8 | at[3];
}
inline void Store16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void Store32(uint8_t* at, uint32_t value) {
  Store16(at, value >> 16);
  Store16(at + 2, value);
}

}  // namespace hawser
