// A whole exchange of the AES form, as data: handshake messages with their frame, transport keys, and
// data messages (docs/wire.md). Made with @noble alone by the formulas of the whitepaper, section 5.4,
// with the construction Noise_IKpsk2_25519_AESGCM_BLAKE2s; the data messages were opened with another
// implementation of AES-GCM besides. Secrets are 32 equal bytes each.

export const aesTranscript = {
  initiatorStatic: 0x11,
  responderStatic: 0x22,
  initiatorEphemeral: 0x33,
  responderEphemeral: 0x44,
  presharedKey: 0x55,
  initiatorIndex: 0x01020304,
  responderIndex: 0xa1a2a3a4,
  /** TAI64N in the initiation, whitened to 2^24 ns. */
  stamp: '400000006553f10a0b000000',
  initiation:
    '01000000040302017b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b146ebed5119676' +
    '6a5ec7cb069c700ada5771507f9a29698025a407e244c4cb0313d2ca7adc0e0ab69c8d39a67888a0ca7d8c7cd28b' +
    '5078539d4e8e46dac9d8a990aafe51d836421beba79ec3d4075410c596e94ac5ec4ae3435419c21c000000000000' +
    '00000000000000000000',
  response:
    '02000000a4a3a2a104030201ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6bec2c' +
    '577186234598afe5c2c5f48ee3d9dbf827dd36f526c922f20abd3fe4a80c00000000000000000000000000000000',
  initiatorSends: '1e431f3004a2c6f632f7149ef10e55b710d1b827be9693d32bb16407bea7f0cd',
  responderSends: '2efd08d150d5c0c7b27f1007f09c96d5a97c8a8b48617a05fb3e6b399401b4f8',
  /** An inner packet of 37 bytes, padded to 48 before it is sealed. */
  packet: '4500002500000000401100000a0100070a0200073039003500110000686177736572212121',
  /** By the initiator: number 0, an empty message; then number 1. */
  keepalive: '04000000a4a3a2a100000000000000008d46e019a5fbd22c496a73697d55d669',
  first:
    '04000000a4a3a2a1010000000000000028fc820603fdf1523865b84f8539b74e48ff8d14d25c814b40279ca303e1' +
    'fb58826ced7b1dfd2e403c91d032b22cc2ed8674b007d0579daf17ce9612572230d2',
  /** By the responder: number 0x0102030405, in which every byte tells its place. */
  late:
    '04000000040302010504030201000000d24f4427becb1a587ca5f3fa0e8c5cde4b91bc0ab8c72218a1c2738e4a02' +
    'e3d3f90a5ac247508185be511ddc44d13e0bfeb514dcfc34024ffbc3ab1becb19ee2',
  lateNumber: 0x0102030405n,
} as const
