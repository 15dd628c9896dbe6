// Rows to trains: cuts superpackets into segments, finishes checksums, takes nonces, seals or
// encapsulates, and packs the datagrams into UDP_SEGMENT trains. `seal` of src/native.ts.
#pragma once
#include "aead.h"
#include "layout.h"

namespace hawser {

// Seals rows [first_row, end_row) whose drop word is 0, appending to the trains of the send slab.
// Returns the first row that was not consumed because there was no room, end_row if all were.
int32_t Seal(Context& c, AeadState& a, int32_t first_row, int32_t end_row);

}  // namespace hawser
