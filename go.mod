module pam_cockpit_cert

go 1.24.0

require (
	github.com/godbus/dbus/v5 v5.2.4
	github.com/google/renameio/v2 v2.0.1
	github.com/msteinert/pam/v2 v2.1.0
	github.com/rogpeppe/go-internal v1.14.1
	github.com/sirupsen/logrus v1.10.2
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9
	golang.org/x/sys v0.41.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
