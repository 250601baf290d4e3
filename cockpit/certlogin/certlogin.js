// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// The page shows the output of pam-cockpit-cert(8) with --json, and runs no other
// program. It does not repeat the command's decisions.

"use strict";

const _ = cockpit.gettext;

const byId = id => document.getElementById(id);

// element makes an element with this text, which is never parsed as HTML.
function element(name, text, className) {
    const made = document.createElement(name);
    if (text)
        made.textContent = text;
    if (className)
        made.className = className;
    return made;
}

// call runs pam-cockpit-cert and returns its output. Cockpit's promises differ from
// the browser's: they reject with a second argument, the output of the failed command.
function call(args, { admin, input } = {}) {
    const options = { err: "message", binary: true };
    if (admin)
        options.superuser = "require";
    return new Promise((resolve, reject) => {
        const process = cockpit.spawn(["pam-cockpit-cert", "--json", ...args], options);
        process.then(resolve, (error, output) => {
            if (output && output.length > 0)
                resolve(output);
            else if (error.problem === "not-found")
                reject(new Error(_("The program pam-cockpit-cert is not installed.")));
            else
                reject(new Error(!error.exit_signal && (error.message || error.problem) || unexplained()));
        });
        if (input)
            process.input(input);
    }).then(output => {
        let answer;
        try {
            answer = JSON.parse(new TextDecoder().decode(output));
        } catch {
            throw new Error(unexplained());
        }
        if (answer.error)
            throw new Error(answer.error);
        return answer;
    });
}

// unexplained is said of a command that was killed, or wrote something else than JSON.
const unexplained = () => _("The program pam-cockpit-cert ended without an answer. Run it in the terminal to see why.");

function complain(error) {
    byId("problem").textContent = error ? error.message : "";
    byId("problem").hidden = !error;
}

const states = {
    ok: _("ok"),
    warning: _("warning"),
    broken: _("broken"),
    unknown: _("unknown"),
    accepted: _("accepted"),
    refused: _("refused"),
    unfinished: _("unfinished"),
};

const names = {
    cockpit: _("Cockpit"),
    certificates: _("Certificates"),
    proxy: _("Proxy"),
    "session-command": _("Session command"),
    "pam-rule": _("PAM rule"),
    "pam-policy": _("PAM policy"),
    "pam-module": _("PAM module"),
    sssd: _("SSSD"),
    validation: _("Validation"),
    authorities: _("Authorities"),
    "revocation-lists": _("Revocation lists"),
    "sssd-snippets": _("SSSD's snippets"),
    "sssd-settings": _("SSSD's settings"),
    "sssd-rules": _("SSSD's rules"),
    "sssd-domains": _("SSSD's domains"),
    "control-groups": _("Control groups"),
    "hidden-processes": _("Hidden processes"),
    selinux: _("SELinux"),
    "sudo-by-ticket": _("sudo by ticket"),
};

function checkItem(check) {
    const item = element("li", "", "check");
    item.append(element("span", states[check.state] || check.state, "state " + check.state));
    const words = element("div");
    words.append(element("strong", names[check.id] || check.id), ": " + check.summary);
    if (check.detail)
        words.append(element("p", check.detail, "faint"));
    if (check.fix) {
        const fix = element("p", _("To do:") + " ", "fix");
        if (check.fix.text)
            fix.append(check.fix.text + " ");
        if (check.fix.command)
            fix.append(element("code", check.fix.command));
        words.append(fix);
    }
    item.append(words);
    return item;
}

function showStatus(status) {
    byId("summary").textContent = status.ok
        ? _("All is well: a certificate that SSSD knows logs its user in.")
        : _("Not all is well:");
    byId("checks").replaceChildren(...(status.checks || []).map(checkItem));
}

function loginRows(login) {
    const row = element("tr", "", "first");
    const time = element("td");
    const stamp = element("time", new Date(login.time).toLocaleString(document.documentElement.lang));
    stamp.dateTime = login.time;
    time.append(stamp);
    const certificate = element("td");
    if (login.fingerprint) {
        const digits = element("code", login.fingerprint.slice(0, 16));
        digits.title = login.fingerprint;
        certificate.append(digits);
    }
    row.append(
        time,
        element("td", states[login.state] || login.state, "state " + login.state),
        element("td", login.user),
        element("td", login.from),
        certificate);
    if (!login.reason)
        return [row];
    const why = element("tr");
    const words = element("td", login.reason, "reason");
    words.colSpan = 4;
    if (login.next)
        words.append(element("p", login.next, "faint"));
    why.append(element("td"), words);
    return [row, why];
}

function showLogins(logins) {
    byId("no-logins").hidden = logins.length > 0;
    byId("logins").hidden = logins.length === 0;
    byId("logins").tBodies[0].replaceChildren(...logins.reverse().flatMap(loginRows));
}

function showReport(report) {
    const list = element("dl");
    const line = (name, text, className) => {
        if (text)
            list.append(element("dt", name), element("dd", text, className));
    };
    line(_("Subject"), report.subject);
    line(_("Issuer"), report.issuer);
    if (report.not_before)
        line(_("Valid"), `${report.not_before} – ${report.not_after}`);
    line(_("Fingerprint"), report.fingerprint);
    line(_("User"), report.user);
    line(_("Result"), `${report.result} (${report.pam})`, "state " + (report.result === "success" ? "success" : "failure"));
    for (const reason of report.reasons || [])
        line(_("Reason"), reason);
    line(_("To do"), report.next);
    for (const warning of report.warnings || [])
        line(_("Warning"), warning, "state warning");
    byId("report").replaceChildren(list);
}

async function check(event) {
    event.preventDefault();
    byId("report").replaceChildren();
    byId("check").disabled = true;
    try {
        const file = byId("file").files[0];
        const input = file ? new Uint8Array(await file.arrayBuffer()) : new TextEncoder().encode(byId("paste").value);
        if (input.length === 0)
            throw new Error(_("Choose a file with a certificate, or paste one."));
        showReport(await call(["check", "-"], { admin: true, input }));
        complain();
    } catch (error) {
        complain(error);
    }
    byId("check").disabled = false;
}

// ask asks for confirmation, because the change disconnects all users.
function ask(verb) {
    byId("confirm-text").textContent = verb === "enable"
        ? _("Turning certificates on restarts Cockpit: you and all others who are logged in are disconnected, and can log in again at once.")
        : _("Turning certificates off restarts Cockpit: you and all others who are logged in are disconnected. After that all users need a password.");
    byId("confirm-yes").textContent = verb === "enable" ? _("Turn on and disconnect") : _("Turn off and disconnect");
    byId("confirm-yes").onclick = () => change(verb);
    byId("confirm").hidden = false;
    byId("confirm-text").focus();
    byId("confirm-no").onclick = () => {
        byId("confirm").hidden = true;
        byId(verb).focus();
    };
}

async function change(verb) {
    byId("confirm").hidden = true;
    try {
        await call([verb, "--now"], { admin: true });
        await refresh();
    } catch (error) {
        complain(error);
    }
}

let admin = false;
let refreshes = 0;

async function refresh() {
    // An answer that comes late must not replace that of a later question.
    const number = ++refreshes;
    const latest = () => number === refreshes;
    const show = (args, shown) => call(args, { admin }).then(answer => latest() && shown(answer));

    byId("limited").hidden = admin;
    for (const id of ["switches", "check-section", "logins-section"])
        byId(id).hidden = !admin;
    byId("refresh").disabled = true;
    byId("summary").textContent = _("Checking...");
    try {
        const status = show(["status"], showStatus).catch(error => {
            if (latest())
                byId("summary").textContent = "";
            throw error;
        });
        await Promise.all([status, admin && show(["logins"], showLogins)]);
        if (latest())
            complain();
    } catch (error) {
        if (latest())
            complain(error);
    }
    if (latest())
        byId("refresh").disabled = false;
}

// style applies the style that the user chose in Cockpit's menu.
function style(chosen) {
    const wanted = chosen || localStorage.getItem("shell:style") || "auto";
    const dark = wanted === "dark" || (wanted === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.classList.toggle("dark", dark);
}

function start() {
    cockpit.translate();
    document.documentElement.lang = cockpit.language || "en";
    style();
    window.addEventListener("storage", event => event.key === "shell:style" && style());
    window.addEventListener("cockpit-style", event => event instanceof CustomEvent && style(event.detail.style));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => style());

    byId("refresh").addEventListener("click", refresh);
    byId("enable").addEventListener("click", () => ask("enable"));
    byId("disable").addEventListener("click", () => ask("disable"));
    byId("check-form").addEventListener("submit", check);
    // The last that was chosen or pasted is checked.
    byId("file").addEventListener("change", () => { byId("paste").value = "" });
    byId("paste").addEventListener("input", () => { byId("file").value = "" });

    // cockpit.permission() does not report changes in every release.
    const superuser = cockpit.dbus(null, { bus: "internal" }).proxy("cockpit.Superuser", "/superuser");
    const changed = () => {
        admin = superuser.valid && superuser.Current !== "none" && superuser.Current !== "init";
        refresh();
    };
    superuser.wait(() => {
        superuser.addEventListener("changed", changed);
        changed();
    });
}

document.addEventListener("DOMContentLoaded", start);
