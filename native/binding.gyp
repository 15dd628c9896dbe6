# Built by scripts/build-native. The core is one static library, so that the addon and its test
# variant (the same with the exports of test-exports.cc) are made from the same objects.
{
  'target_defaults': {
    'defines': ['NAPI_VERSION=9', 'NODE_ADDON_API_CPP_EXCEPTIONS'],
    'cflags!': ['-Wno-unused-parameter'],
    'cflags_cc!': ['-std=gnu++20', '-std=gnu++17', '-fno-exceptions'],
    'cflags_cc': [
      '-std=c++17', '-O3', '-Wall', '-Wextra', '-Werror', '-fexceptions', '-fvisibility=hidden',
      # As system headers: their warnings are not ours.
      '-isystem', '<(module_root_dir)/../node_modules/node-addon-api',
    ],
    # A symbol that is missing shows when the addon is loaded, not at its first use.
    'ldflags': ['-Wl,-z,relro,-z,now'],
  },
  'targets': [
    {
      'target_name': 'hawser_core',
      'type': 'static_library',
      'sources': [
        'aead.cc', 'aead-keys.cc', 'aead-openssl.cc', 'aes-gcm-avx2.cc', 'aes-gcm-avx512.cc',
        'chacha-avx2.cc', 'chacha-avx512.cc', 'checksum.cc', 'coalesce.cc', 'context.cc',
        'describe.cc', 'icmp.cc', 'open.cc', 'poll.cc', 'probe.cc', 'replay.cc', 'seal.cc', 'segment.cc',
        'setup.cc', 'tun.cc', 'tun-device.cc', 'udp.cc', 'udp-socket.cc',
      ],
    },
    {
      'target_name': 'hawser',
      'dependencies': ['hawser_core'],
      'sources': ['addon.cc'],
    },
    {
      'target_name': 'hawser_test',
      'dependencies': ['hawser_core'],
      'defines': ['HAWSER_TEST_EXPORTS'],
      'sources': ['addon.cc', 'test-exports.cc'],
    },
  ],
}
