// Vectors of Noise_IKpsk2 with BLAKE2s, as data: from the set that the Haskell implementation
// "cacophony" published and that other implementations test against. Messages 1 and 2 are the
// handshake, the others go back and forth under the transport keys.

export interface NoiseVector {
  readonly name: string
  readonly prologue: string
  readonly presharedKey: string
  readonly initiatorStatic: string
  readonly initiatorEphemeral: string
  readonly responderPublic: string
  readonly responderStatic: string
  readonly responderEphemeral: string
  /** Pairs of payload and message. */
  readonly messages: readonly (readonly [string, string])[]
}

const parties = {
  prologue: '4a6f686e2047616c74',
  presharedKey: '54686973206973206d7920417573747269616e20706572737065637469766521',
  initiatorStatic: 'e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1',
  initiatorEphemeral: '893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a',
  responderPublic: '31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62',
  responderStatic: '4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893',
  responderEphemeral: 'bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b',
}

export const chachaVector: NoiseVector = {
  ...parties,
  name: 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s',
  messages: [
    [
      '4c756477696720766f6e204d69736573',
      'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944' +
        '001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfcb2a75fbcaf' +
        '1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985' +
        '464cf17e51ee93109008399a21f7e13f',
    ],
    [
      '4d757272617920526f746862617264',
      '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843' +
        'cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a',
    ],
    ['462e20412e20486179656b', '8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7'],
    ['4361726c204d656e676572', '07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef'],
    [
      '4a65616e2d426170746973746520536179',
      '6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d',
    ],
    [
      '457567656e2042f6686d20766f6e2042617765726b',
      'dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292',
    ],
  ],
}

export const aesVector: NoiseVector = {
  ...parties,
  name: 'Noise_IKpsk2_25519_AESGCM_BLAKE2s',
  messages: [
    [
      '4c756477696720766f6e204d69736573',
      'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944' +
        'f70d65fedfd7ad294f4c8f5c1324c7c90e54cd8af05652112a27b261e11ce99d' +
        '9d517c4a1e0753038edb26066b4087b4c230aafa22b0552550b723eb69374a67' +
        '4d306a84e1852e30af2e2dbefeb4fd2f',
    ],
    [
      '4d757272617920526f746862617264',
      '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843' +
        '4190dae84b6887641a5f81e03d83f7be91fa1134c18dde966e18fc404b97a8',
    ],
    ['462e20412e20486179656b', '061b631b380a639a0801920ddf205e2dbf6606c3328683c6af50fc'],
    ['4361726c204d656e676572', 'c4b5ecd181f80279f2cc41217d490ed56459e3e3fb5e758e522d0d'],
    [
      '4a65616e2d426170746973746520536179',
      '43897c593df3b427776e11c3632bb935fd7e31e50a4069c8b559188a04af961e12',
    ],
    [
      '457567656e2042f6686d20766f6e2042617765726b',
      'b7f9229e7ba4b89161baca67cef00381ce7b613bdcb8dcf233573476f6164dde9a8b1b9200',
    ],
  ],
}
