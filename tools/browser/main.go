// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command browser logs in to Cockpit on this machine like a browser: with a client
// certificate or a password, and then with a WebSocket that keeps the session
// open. The session runs the commands on standard input, one on each line, and
// prints a line "= STATUS" after the output of each. At the end it logs out.
//
// What a person sees is tested in test/browser, with Chromium. This program is for
// what a browser behind WebDriver cannot do: keep a hundred sessions open at a time
// on a small machine, log in on a machine where no browser is installed (Debian 11,
// a virtual machine, a domain's hosts), and return what a command in the session
// printed, byte for byte, with its exit status.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// address is Cockpit's address. The server's certificate is not checked.
const address = "localhost:9090"

func main() {
	certificate := flag.String("cert", "", "the `FILE` with the client certificate; its key has the suffix .key for .pem")
	user := flag.String("user", "", "log in with a password: `NAME:PASSWORD`")
	flag.Parse()
	if err := browse(*certificate, *user, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func browse(certificate, user string, in io.Reader, out io.Writer) error {
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, strings.TrimSuffix(certificate, ".pem")+".key")
		if err != nil {
			return err
		}
		// This certificate, whatever authorities the server accepts.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	page, err := load(config, user)
	// On a busy machine cockpit-ws may give up a session before its page is
	// loaded, and a cockpit-ws that was idle for 90 s may end at this moment.
	for attempt := 1; attempt < 3 && (errors.Is(err, errNoSession) || errors.Is(err, io.EOF)); attempt++ {
		page, err = load(config, user)
	}
	if err != nil {
		return err
	}
	defer page.close()
	fmt.Fprintln(out, "= in")
	commands := bufio.NewScanner(in)
	for number := 1; commands.Scan(); number++ {
		status, err := page.run(fmt.Sprintf("c%d", number), commands.Text(), out)
		if err != nil {
			return fmt.Errorf("%s: %w", commands.Text(), err)
		}
		fmt.Fprintln(out, "=", status)
	}
	return page.logout()
}

var errNoSession = errors.New("no-session")

// load logs in and opens the page.
func load(config *tls.Config, user string) (*page, error) {
	cookie, err := login(config, user)
	if err != nil {
		return nil, err
	}
	page, err := open(config, cookie)
	if err != nil {
		return nil, fmt.Errorf("the WebSocket: %w", err)
	}
	return page, nil
}

// login returns the session's cookie.
func login(config *tls.Config, user string) (*http.Cookie, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 5 * time.Minute}
	defer client.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, "https://"+address+"/cockpit/login", nil)
	if err != nil {
		return nil, err
	}
	if name, password, ok := strings.Cut(user, ":"); ok {
		request.SetBasicAuth(name, password)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %s: %s", answer.Status, body)
	}
	for _, cookie := range answer.Cookies() {
		if cookie.Name == "cockpit" {
			return cookie, nil
		}
	}
	return nil, fmt.Errorf("no cookie in %v", answer.Header)
}

// page is the WebSocket of a Cockpit page that has loaded.
type page struct{ *webSocket }

func open(config *tls.Config, cookie *http.Cookie) (*page, error) {
	socket, err := dial(config, "/cockpit/socket", cookie)
	if err != nil {
		return nil, err
	}
	p := &page{socket}
	if _, err := p.control("init", ""); err != nil {
		socket.close()
		return nil, err
	}
	return p, p.say(map[string]any{"command": "init", "version": 1})
}

// run has the session run a command, and copies its output.
func (p *page) run(channel, command string, out io.Writer) (string, error) {
	if err := p.say(map[string]any{
		"command": "open", "channel": channel, "payload": "stream", "spawn": []string{"sh", "-c", command}, "err": "out",
	}); err != nil {
		return "", err
	}
	if err := p.say(map[string]any{"command": "done", "channel": channel}); err != nil {
		return "", err
	}
	for {
		of, payload, err := p.next()
		if err != nil {
			return "", err
		}
		if of == channel {
			if _, err := out.Write(payload); err != nil {
				return "", err
			}
			continue
		}
		if of != "" {
			continue
		}
		var message control
		if err := json.Unmarshal(payload, &message); err != nil {
			return "", err
		}
		if message.Command == "close" && message.Channel == channel {
			if message.Problem != "" {
				return "", fmt.Errorf("%s: %s", message.Problem, message.Message)
			}
			return fmt.Sprint(message.Status), nil
		}
	}
}

// logout logs out like the menu's entry, and waits for the end.
func (p *page) logout() error {
	if err := p.say(map[string]any{"command": "logout", "disconnect": true}); err != nil {
		return err
	}
	for {
		if _, _, err := p.next(); err != nil {
			return nil // closed: there is no other answer
		}
	}
}

// control has the fields of Cockpit's control messages that this program reads.
type control struct {
	Command string `json:"command"`
	Channel string `json:"channel"`
	Problem string `json:"problem"`
	Message string `json:"message"`
	Status  int    `json:"exit-status"`
}

// control waits for a control message of this kind.
func (p *page) control(command, channel string) (control, error) {
	for {
		of, payload, err := p.next()
		if err != nil {
			return control{}, err
		}
		var message control
		if of != "" {
			continue
		}
		if err := json.Unmarshal(payload, &message); err != nil {
			return control{}, err
		}
		if message.Command == command && message.Channel == channel {
			if message.Problem == errNoSession.Error() {
				return message, errNoSession
			}
			if message.Problem != "" {
				return message, fmt.Errorf("%s: %s", message.Problem, message.Message)
			}
			return message, nil
		}
	}
}

// say sends a control message.
func (p *page) say(message map[string]any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return p.send(append([]byte("\n"), text...))
}

// next returns a message's channel, empty for control messages, and payload.
func (p *page) next() (string, []byte, error) {
	message, err := p.receive()
	if err != nil {
		return "", nil, err
	}
	channel, payload, ok := strings.Cut(string(message), "\n")
	if !ok {
		return "", nil, fmt.Errorf("a message without a channel: %q", message)
	}
	return channel, []byte(payload), nil
}
