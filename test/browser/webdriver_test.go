// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browser is one that a driver has started, and drives by the W3C's WebDriver
// protocol: JSON over HTTP.
type browser struct {
	t       testing.TB
	client  *http.Client
	session string // its address
}

// patience bounds what a page needs, on a machine with other things to do.
const patience = 2 * time.Minute

// start has the driver at this address start a browser with these
// capabilities, and waits for the driver first.
func start(t testing.TB, client *http.Client, address string, capabilities map[string]any) *browser {
	t.Helper()
	b := &browser{t: t, client: client}
	b.eventually(func() error {
		_, err := b.call("GET", address+"/status", nil)
		return err
	})
	value, err := b.call("POST", address+"/session", map[string]any{
		"capabilities": map[string]any{"alwaysMatch": capabilities},
	})
	if err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	var started struct{ SessionID string }
	if err := json.Unmarshal(value, &started); err != nil || started.SessionID == "" {
		t.Fatalf("the driver started no session: %s, %v", value, err)
	}
	b.session = address + "/session/" + started.SessionID
	return b
}

// end closes the browser.
func (b *browser) end() { b.t.Helper(); b.must("DELETE", "", nil) }

// of is the browser for another test.
func (b *browser) of(t testing.TB) *browser {
	other := *b
	other.t = t
	return &other
}

// driverError is a driver's answer to what it could not do.
type driverError struct {
	Code    string `json:"error"`
	Message string `json:"message"`
}

func (e *driverError) Error() string {
	message, _, _ := strings.Cut(e.Message, "\n")
	return e.Code + ": " + message
}

// call makes a request, and returns the value of its answer.
func (b *browser) call(method, url string, parameters any) (json.RawMessage, error) {
	var body io.Reader
	if method == http.MethodPost {
		if parameters == nil {
			parameters = struct{}{}
		}
		text, err := json.Marshal(parameters)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the driver's answer, HTTP %s: %w", response.Status, err)
	}
	if response.StatusCode != http.StatusOK {
		failed := &driverError{}
		if err := json.Unmarshal(answer.Value, failed); err != nil {
			return nil, fmt.Errorf("the driver's answer, HTTP %s: %w", response.Status, err)
		}
		return nil, failed
	}
	return answer.Value, nil
}

// must is call for what a browser never refuses.
func (b *browser) must(method, path string, parameters any) json.RawMessage {
	b.t.Helper()
	value, err := b.call(method, b.session+path, parameters)
	if err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
	return value
}

// open goes to a page, and waits until it is loaded. A Cockpit that restarts may end
// a connection: then it tries again.
func (b *browser) open(url string) {
	b.t.Helper()
	b.eventually(func() error {
		_, err := b.call("POST", b.session+"/url", map[string]any{"url": url})
		return err
	})
}

// top leaves all frames.
func (b *browser) top() { b.t.Helper(); b.must("POST", "/frame", map[string]any{"id": nil}) }

// frame enters the frame that the CSS selector finds, from the top.
func (b *browser) frame(selector string) {
	b.t.Helper()
	b.eventually(func() error {
		b.top()
		element, err := b.find(selector)
		if err != nil {
			return err
		}
		_, err = b.call("POST", b.session+"/frame", map[string]any{"id": element})
		return err
	})
}

// find returns the element as the protocol names it.
func (b *browser) find(selector string) (map[string]string, error) {
	value, err := b.call("POST", b.session+"/element", map[string]any{"using": "css selector", "value": selector})
	if err != nil {
		return nil, err
	}
	var element map[string]string
	err = json.Unmarshal(value, &element)
	return element, err
}

// on makes a request about the element that the selector finds.
func (b *browser) on(selector, method, path string, parameters any) (json.RawMessage, error) {
	element, err := b.find(selector)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", selector, err)
	}
	for _, id := range element {
		return b.call(method, b.session+"/element/"+id+path, parameters)
	}
	return nil, errors.New("the driver names no element")
}

// click clicks on an element, once that is possible and it has stopped moving: the driver
// would click where it was.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.eventually(func() error {
		before, err := b.on(selector, "GET", "/rect", nil)
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		switch after, err := b.on(selector, "GET", "/rect", nil); {
		case err != nil:
			return err
		case string(after) != string(before):
			return fmt.Errorf("%s moves from %s to %s", selector, before, after)
		}
		_, err = b.on(selector, "POST", "/click", nil)
		return err
	})
}

// fill types into an element, once that is possible.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.eventually(func() error {
		_, err := b.on(selector, "POST", "/value", map[string]any{"text": text})
		return err
	})
}

// text returns what a person reads in an element; nothing if it is not there.
func (b *browser) text(selector string) string {
	value, err := b.on(selector, "GET", "/text", nil)
	var text string
	if err == nil {
		err = json.Unmarshal(value, &text)
	}
	if err != nil {
		return ""
	}
	return text
}

// title returns the page's.
func (b *browser) title() string {
	b.t.Helper()
	var title string
	if err := json.Unmarshal(b.must("GET", "/title", nil), &title); err != nil {
		b.t.Fatal(err)
	}
	return title
}

// Keys, as the protocol names them.
const (
	tab   = "\uE004"
	enter = "\uE007"
)

// keys types into what has the focus.
func (b *browser) keys(text string) {
	b.t.Helper()
	var presses []map[string]string
	for _, key := range text {
		for _, kind := range []string{"keyDown", "keyUp"} {
			presses = append(presses, map[string]string{"type": kind, "value": string(key)})
		}
	}
	b.must("POST", "/actions", map[string]any{
		"actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": presses}},
	})
}

// away moves the mouse to a corner, where it points at nothing.
func (b *browser) away() {
	b.t.Helper()
	b.must("POST", "/actions", map[string]any{
		"actions": []any{map[string]any{"type": "pointer", "id": "mouse", "actions": []any{
			map[string]any{"type": "pointerMove", "x": 0, "y": 0},
		}}},
	})
}

// shown tells whether a person sees an element.
func (b *browser) shown(selector string) bool {
	value, err := b.on(selector, "GET", "/displayed", nil)
	return err == nil && string(value) == "true"
}

// forget makes the browser one that is not logged in.
func (b *browser) forget() {
	b.t.Helper()
	b.open("about:blank")
	b.must("POST", "/goog/cdp/execute", map[string]any{"cmd": "Network.clearBrowserCookies", "params": struct{}{}})
}

// run runs a script in the page, and unpacks what it returns.
func (b *browser) run(script string, result any) {
	b.t.Helper()
	value := b.must("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}})
	if result == nil {
		return
	}
	if err := json.Unmarshal(value, result); err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
}

// waitTitle waits for a title that contains the text.
func (b *browser) waitTitle(text string) {
	b.t.Helper()
	b.eventually(func() error { return b.titled(text) })
}

// titled returns an error if the title does not contain the text.
func (b *browser) titled(text string) error {
	if title := b.title(); !strings.Contains(title, text) {
		return fmt.Errorf("the title is %q, and not %q", title, text)
	}
	return nil
}

// stalled is how long a page may not come before a person opens it again. cockpit-ws ends
// a connection on which it has read no request for 30 s, and before that a session that
// nobody uses.
const stalled = 45 * time.Second

// arrive opens a page of Cockpit's, and waits until it is there. Sometimes one of
// Chromium's first connections stalls, and the session is gone when it goes on.
func (b *browser) arrive(url string, wrong func() error) {
	b.t.Helper()
	b.open(url)
	opened := time.Now()
	b.eventually(func() error {
		err := wrong()
		if err != nil && (time.Since(opened) > stalled || strings.Contains(b.text("body"), "Connection failed")) {
			b.t.Logf("%s is opened again after %v", url, time.Since(opened).Round(time.Second))
			b.open(url)
			opened = time.Now()
		}
		return err
	})
}

// waitText waits until a person reads the text in an element.
func (b *browser) waitText(selector, text string) {
	b.t.Helper()
	b.eventually(func() error {
		if got := b.text(selector); !strings.Contains(got, text) {
			return fmt.Errorf("%s says %q, and not %q", selector, got, text)
		}
		return nil
	})
}

// waitContent waits until an element holds the text, whether a person sees it or not.
func (b *browser) waitContent(selector, text string) {
	b.t.Helper()
	b.eventually(func() error {
		var content string
		b.run(`return document.querySelector("`+selector+`").textContent`, &content)
		if !strings.Contains(content, text) {
			return fmt.Errorf("%s has %q, and not %q", selector, content, text)
		}
		return nil
	})
}

// waitShown waits until a person sees an element.
func (b *browser) waitShown(selector string) {
	b.t.Helper()
	b.eventually(func() error {
		if !b.shown(selector) {
			return fmt.Errorf("%s is not shown, but: %s", selector, b.text("body"))
		}
		return nil
	})
}

// describe says what the page is, and keeps a picture of it.
func (b *browser) describe(path string) string {
	title, err := b.call("GET", b.session+"/title", nil)
	if err != nil {
		return err.Error()
	}
	b.screenshot(path)
	return fmt.Sprintf("the page %s, see %s:\n%s", title, path, b.text("body"))
}

// screenshot keeps a picture of the page.
func (b *browser) screenshot(path string) {
	b.t.Helper()
	var text string
	if err := json.Unmarshal(b.must("GET", "/screenshot", nil), &text); err != nil {
		b.t.Fatal(err)
	}
	picture, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, picture, 0o644))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// eventually waits until there is no error any more.
func (b *browser) eventually(wrong func() error) { b.t.Helper(); eventually(b.t, wrong) }

func eventually(t testing.TB, wrong func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := wrong()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", patience, err)
		}
	}
}
