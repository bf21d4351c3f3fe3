// WireGuard by other hands: wireguard-go, gVisor's TCP and Go's HTTP/2, without any right.
//
//	call PRIVATE COLONY PSK ENDPOINT OWN-ADDRESS SERVICE METHOD REQUEST
//
// makes one gRPC call (keys and request in hex, service as a.b.c.d:port). It prints the gRPC status and the answer in
// hex, or ends with an error after ten seconds.
//
//	serve PRIVATE REEF PSK REEF-ADDRESS SERVICE FILE
//
// answers health checks, and every other method with the message in FILE. It prints its UDP port and ends with its
// standard input.
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
	"strings"
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

// A device with one peer, and the TCP inside its tunnel.
func open(address netip.Addr, settings string) (*netstack.Net, *device.Device) {
	tun, inside, err := netstack.CreateNetTUN([]netip.Addr{address}, nil, 1420)
	check(err)
	wireguard := device.NewDevice(tun, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	check(wireguard.IpcSet(settings))
	check(wireguard.Up())
	return inside, wireguard
}

func http2() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

func call(private, colony, psk, endpoint, address, service, method, request string) {
	message, err := hex.DecodeString(request)
	check(err)
	inside, peer := open(netip.MustParseAddr(address), fmt.Sprintf("private_key=%s\npublic_key=%s\npreshared_key=%s\nendpoint=%s\nallowed_ip=0.0.0.0/0\npersistent_keepalive_interval=25\n", private, colony, psk, endpoint))
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Protocols: http2(),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return inside.DialContextTCPAddrPort(ctx, netip.MustParseAddrPort(service))
		},
	}}
	call, err := http.NewRequest("POST", "http://"+service+"/"+method, bytes.NewReader(frame(message)))
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

func serve(private, reef, psk, address, service, file string) {
	message, err := os.ReadFile(file)
	check(err)
	at := netip.MustParseAddrPort(service)
	inside, colony := open(at.Addr(), fmt.Sprintf("private_key=%s\nlisten_port=0\npublic_key=%s\npreshared_key=%s\nallowed_ip=%s/32\n", private, reef, psk, address))
	listener, err := inside.ListenTCPAddrPort(at)
	check(err)
	server := http.Server{Protocols: http2(), Handler: http.HandlerFunc(func(to http.ResponseWriter, from *http.Request) {
		io.Copy(io.Discard, from.Body)
		to.Header().Set("content-type", "application/grpc")
		to.Header().Set("trailer", "grpc-status")
		if from.URL.Path == "/grpc.health.v1.Health/Check" {
			to.Write(frame([]byte{8, 1}))
		} else {
			to.Write(frame(message))
		}
		to.Header().Set("grpc-status", "0")
	})}
	go server.Serve(listener)
	state, err := colony.IpcGet()
	check(err)
	for _, line := range strings.Split(state, "\n") {
		if port, found := strings.CutPrefix(line, "listen_port="); found {
			fmt.Println(port)
		}
	}
	io.Copy(io.Discard, os.Stdin)
}

func main() {
	given := os.Args[2:]
	switch os.Args[1] {
	case "call":
		call(given[0], given[1], given[2], given[3], given[4], given[5], given[6], given[7])
	case "serve":
		serve(given[0], given[1], given[2], given[3], given[4], given[5])
	}
}
