// Socket options of UDP that are missing in the headers of Debian 12, or named twice.
#pragma once

namespace hawser {

constexpr int kUdpSegment = 103, kUdpGro = 104;

// IP_PMTUDISC_OMIT and IPV6_PMTUDISC_OMIT: DF stays clear and the path MTU that the kernel learned
// is not obeyed. With the default one forged ICMP message makes every UDP_SEGMENT send fail.
constexpr int kPmtuDiscOmit = 5;

}  // namespace hawser
