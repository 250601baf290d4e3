module pam_cockpit_cert

go 1.24.0

require (
	github.com/godbus/dbus/v5 v5.2.4
	github.com/msteinert/pam/v2 v2.1.0
	github.com/sirupsen/logrus v1.10.2
	golang.org/x/sys v0.41.0
)
