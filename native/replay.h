// The replay window of a key slot: a ring of 128 words of 64 bits (RFC 6479), of which 8 128
// counters are usable, as in the Linux driver. Moving the window forward clears whole words; the
// word that the newest counter lies in is why the usable window is one word shorter than the ring.
#pragma once
#include "layout.h"

namespace hawser {

// Accepts a counter once: false when it was seen before or is older than the window. Must be called
// only for what was authenticated. `counter` is below 2^64 - 1.
bool AcceptCounter(Replay& replay, uint64_t counter);

}  // namespace hawser
