// The addon's list of exports, and the state of an environment. Eight functions for breaths,
// fifteen for set-up. The AEAD work itself is in seal.cc, open.cc and aead.cc, which know no
// JavaScript.
#include "addon.h"

#include "aead.h"
#include "napi-args.h"
#include "open.h"
#include "seal.h"

namespace hawser {

#ifdef HAWSER_TEST_EXPORTS
void RegisterTestExports(Napi::Env env, Napi::Object exports);  // test-exports.cc
#endif

Environment::~Environment() { DestroyAeadState(aead); }

namespace {

napi_value SealRows(napi_env env, napi_callback_info info) {
  BreathCall<3> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t first = call.Int(1), end = call.Int(2);
  if (!call.valid() || holder == nullptr || !IsRange(first, end, holder->context.row_count)) {
    return call.Refuse("seal: no such rows");
  }
  return call.Return(Seal(holder->context, *call.environment().aead, first, end));
}

napi_value OpenTrains(napi_env env, napi_callback_info info) {
  BreathCall<4> call(env, info);
  ContextHolder* holder = call.Holder();
  const int32_t first = call.Int(1), end = call.Int(2);
  const double now_ms = call.Double(3);
  if (!call.valid() || holder == nullptr || !IsRange(first, end, holder->context.train_count)) {
    return call.Refuse("open: no such trains");
  }
  return call.Return(Open(holder->context, *call.environment().aead, first, end, now_ms));
}

constexpr size_t kKeyBytes = 32;

Napi::Value HandshakeAeadOnce(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool seal = info[0].ToBoolean().Value();
  const int32_t method = IntArgument(info, 1);
  const auto key = ArrayElements<uint8_t>(env, info[2], napi_uint8_array, "key");
  const auto additional = ArrayElements<uint8_t>(env, info[3], napi_uint8_array, "additional");
  const auto input = ArrayElements<uint8_t>(env, info[4], napi_uint8_array, "input");
  const auto output = ArrayElements<uint8_t>(env, info[5], napi_uint8_array, "output");
  const size_t sealed_size = seal ? output.count : input.count;
  const size_t plain_size = seal ? input.count : output.count;
  const bool fits = sealed_size == plain_size + size_t{kTagBytes};
  if ((method != kChaCha20Poly1305 && method != kAes256Gcm) || key.count != kKeyBytes || !fits) {
    throw Napi::RangeError::New(env, "handshakeAead: method or length of an array is wrong");
  }
  const int result = HandshakeAead(seal, static_cast<uint32_t>(method), key.data, additional.data,
                                   additional.count, input.data, input.count, output.data);
  return Napi::Number::New(env, result);
}

using SetupFunction = Napi::Value (*)(const Napi::CallbackInfo&);

template <SetupFunction kFunction>
void ExportSetup(Napi::Object exports, const char* name, Environment* environment) {
  exports.Set(name, Napi::Function::New<kFunction>(exports.Env(), name, environment));
}

void ExportBreath(Napi::Object exports, const char* name, napi_callback function,
                  Environment* environment) {
  napi_value value = nullptr;
  const napi_status status =
      napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, function, environment, &value);
  if (status != napi_ok) throw Napi::Error::New(exports.Env());
  exports.Set(name, value);
}

}  // namespace

// Called once for each environment that loads the library.
Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(CreateAeadState());
  env.SetInstanceData<Environment>(environment);

  ExportBreath(exports, "poll", Poll, environment);
  ExportBreath(exports, "readTun", ReadTun, environment);
  ExportBreath(exports, "writeTun", WriteTun, environment);
  ExportBreath(exports, "receiveUdp", ReceiveUdp, environment);
  ExportBreath(exports, "sendUdp", SendUdp, environment);
  ExportBreath(exports, "seal", SealRows, environment);
  ExportBreath(exports, "open", OpenTrains, environment);
  ExportSetup<HandshakeAeadOnce>(exports, "handshakeAead", environment);

  ExportSetup<CreateContext>(exports, "createContext", environment);
  ExportSetup<OpenTun>(exports, "openTun", environment);
  ExportSetup<SetTunOffload>(exports, "setTunOffload", environment);
  ExportSetup<TunState>(exports, "tunState", environment);
  ExportSetup<OpenUdp>(exports, "openUdp", environment);
  ExportSetup<SetFwmark>(exports, "setFwmark", environment);
  ExportSetup<CreateWake>(exports, "createWake", environment);
  ExportSetup<Wake>(exports, "wake", environment);
  ExportSetup<ProbeOffloads>(exports, "probeOffloads", environment);
  ExportSetup<Describe>(exports, "describe", environment);
  ExportSetup<SecureProcess>(exports, "secureProcess", environment);
  ExportSetup<PeerCredentials>(exports, "peerCredentials", environment);
  ExportSetup<OpenIcmp>(exports, "openIcmp", environment);
  ExportSetup<SendEcho>(exports, "sendEcho", environment);
  ExportSetup<ReceiveEchoes>(exports, "receiveEchoes", environment);
#ifdef HAWSER_TEST_EXPORTS
  RegisterTestExports(env, exports);
#endif
  return exports;
}

}  // namespace hawser

using hawser::Initialise;
NODE_API_MODULE(NODE_GYP_MODULE_NAME, Initialise)
