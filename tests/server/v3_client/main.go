// A client of API v3 as those of Clair are: Go's gRPC and code that protoc made of clair.proto. It calls every method, and prints
// what came as JSON, one line a call: {"call": name, "code": gRPC's, "reply": ...}.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io/ioutil"
	"log"
	"os"
	"time"

	"clairpb"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

var out = json.NewEncoder(os.Stdout)

func tell(call string, reply interface{}, err error) {
	line := map[string]interface{}{"call": call, "code": status.Code(err).String()}
	if err != nil {
		line["why"] = status.Convert(err).Message()
	} else {
		line["reply"] = reply
	}
	if err := out.Encode(line); err != nil {
		log.Fatal(err)
	}
}

func security(ca, cert, key string) grpc.DialOption {
	if ca == "" {
		return grpc.WithInsecure()
	}
	pem, err := ioutil.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}))
}

// All pages of both sides, as a client of Clair's goes through them: the token of a side that is at its end is sent again.
func pages(ctx context.Context, c clairpb.NotificationServiceClient, name string) {
	ask := &clairpb.GetNotificationRequest{Name: name, Limit: 1}
	for {
		r, err := c.GetNotification(ctx, ask)
		tell("GetNotification", r, err)
		if err != nil || r.Notification.New.GetNextPage() == "" {
			return
		}
		ask.NewVulnerabilityPage = r.Notification.New.NextPage
		ask.OldVulnerabilityPage = r.Notification.Old.GetCurrentPage()
	}
}

func healths(ctx context.Context, conn *grpc.ClientConn) {
	c := health.NewHealthClient(conn)
	h, err := c.Check(ctx, &health.HealthCheckRequest{Service: "coreos.clair.AncestryService"})
	tell("Check", h, err)
	h, err = c.Check(ctx, &health.HealthCheckRequest{Service: "nobody"})
	tell("Check", h, err)
	watch, err := c.Watch(ctx, &health.HealthCheckRequest{})
	if err == nil {
		h, err = watch.Recv()
	}
	tell("Watch", h, err)
}

func services(ctx context.Context, conn *grpc.ClientConn) {
	stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		log.Fatal(err)
	}
	err = stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}})
	var r *reflection.ServerReflectionResponse
	if err == nil {
		r, err = stream.Recv()
	}
	tell("ListServices", r.GetListServicesResponse(), err)
	_ = stream.CloseSend()
	if _, err = stream.Recv(); err == nil {
		log.Fatal("the stream does not end")
	}
}

func main() {
	addr := flag.String("addr", "", "HOST:PORT")
	ca, cert, key := flag.String("ca", "", "of the server; empty: plain text"), flag.String("cert", "", ""), flag.String("key", "", "")
	path, notification := flag.String("path", "", "of a layer"), flag.String("notification", "", "its name")
	token := flag.String("token", "", "for calls that change something")
	flag.Parse()

	conn, err := grpc.Dial(*addr, security(*ca, *cert, *key), grpc.WithBlock(), grpc.WithTimeout(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if *token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+*token)
	}

	ancestries, notifications := clairpb.NewAncestryServiceClient(conn), clairpb.NewNotificationServiceClient(conn)
	posted, err := ancestries.PostAncestry(ctx, &clairpb.PostAncestryRequest{AncestryName: "go", Format: "Docker", Layers: []*clairpb.PostAncestryRequest_PostLayer{
		{Hash: "sha256:of-go", Path: *path, Headers: map[string]string{"x-from": "go"}}}})
	tell("PostAncestry", posted, err)
	got, err := ancestries.GetAncestry(ctx, &clairpb.GetAncestryRequest{AncestryName: "go"}, grpc.UseCompressor(gzip.Name))
	tell("GetAncestry", got, err)
	got, err = ancestries.GetAncestry(ctx, &clairpb.GetAncestryRequest{AncestryName: "nobody"})
	tell("GetAncestry", got, err)
	now, err := clairpb.NewStatusServiceClient(conn).GetStatus(ctx, &clairpb.GetStatusRequest{})
	tell("GetStatus", now, err)
	pages(ctx, notifications, *notification)
	for i := 0; i < 2; i++ {
		marked, err := notifications.MarkNotificationAsRead(ctx, &clairpb.MarkNotificationAsReadRequest{Name: *notification})
		tell("MarkNotificationAsRead", marked, err)
	}
	healths(ctx, conn)
	services(ctx, conn)
}
