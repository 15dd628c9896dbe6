// Every function that the addon exports, by its file. What each does is said in src/native.ts.
#pragma once
#include <napi.h>

namespace hawser {

struct AeadState;

napi_value Poll(napi_env env, napi_callback_info info);  // poll.cc

napi_value ReadTun(napi_env env, napi_callback_info info);  // tun.cc
napi_value WriteTun(napi_env env, napi_callback_info info);

napi_value ReceiveUdp(napi_env env, napi_callback_info info);  // udp.cc
napi_value SendUdp(napi_env env, napi_callback_info info);

Napi::Value CreateContext(const Napi::CallbackInfo& info);  // context.cc

Napi::Value OpenTun(const Napi::CallbackInfo& info);  // tun-device.cc
Napi::Value SetTunOffload(const Napi::CallbackInfo& info);
Napi::Value TunState(const Napi::CallbackInfo& info);

Napi::Value OpenUdp(const Napi::CallbackInfo& info);  // udp-socket.cc
Napi::Value SetFwmark(const Napi::CallbackInfo& info);

Napi::Value OpenIcmp(const Napi::CallbackInfo& info);  // icmp.cc
Napi::Value SendEcho(const Napi::CallbackInfo& info);
Napi::Value ReceiveEchoes(const Napi::CallbackInfo& info);

Napi::Value CreateWake(const Napi::CallbackInfo& info);  // setup.cc
Napi::Value Wake(const Napi::CallbackInfo& info);
Napi::Value SecureProcess(const Napi::CallbackInfo& info);
Napi::Value PeerCredentials(const Napi::CallbackInfo& info);

Napi::Value ProbeOffloads(const Napi::CallbackInfo& info);  // probe.cc

Napi::Value Describe(const Napi::CallbackInfo& info);  // describe.cc
// The form in force of each cipher and the reason, as in `Description.aead`.
Napi::Object FormsInForce(Napi::Env env, const AeadState& state);

}  // namespace hawser
