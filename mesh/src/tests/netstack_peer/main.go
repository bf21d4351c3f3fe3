// One gRPC call through WireGuard by other hands: wireguard-go, gVisor's TCP and Go's HTTP/2, without any right.
//
// Arguments: private key, colony key, pre-shared key (hex), endpoint, own address, service (a.b.c.d:port), method,
// request (hex). It prints the gRPC status and the answer in hex, or ends with an error after ten seconds.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/netstack"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	private, colony, psk, endpoint, address, service, method := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	request, err := hex.DecodeString(os.Args[8])
	check(err)
	tun, inside, err := netstack.CreateNetTUN([]netip.Addr{netip.MustParseAddr(address)}, nil, 1420)
	check(err)
	peer := device.NewDevice(tun, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	check(peer.IpcSet(fmt.Sprintf("private_key=%s\npublic_key=%s\npreshared_key=%s\nendpoint=%s\nallowed_ip=0.0.0.0/0\npersistent_keepalive_interval=25\n", private, colony, psk, endpoint)))
	check(peer.Up())

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return inside.DialContextTCPAddrPort(ctx, netip.MustParseAddrPort(service))
		},
	}}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request)))
	call, err := http.NewRequest("POST", "http://"+service+"/"+method, bytes.NewReader(append(frame, request...)))
	check(err)
	call.Header.Set("content-type", "application/grpc")
	call.Header.Set("te", "trailers")
	answer, err := client.Do(call)
	check(err)
	body, err := io.ReadAll(answer.Body)
	check(err)
	status := answer.Header.Get("grpc-status") + answer.Trailer.Get("grpc-status")
	if len(body) > 5 {
		body = body[5:]
	}
	fmt.Println(status, hex.EncodeToString(body))
	peer.Close()
}
