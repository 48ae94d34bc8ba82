#!/bin/sh
# Installs the system packages that only tests need, where this user may; else says how.
# Each line: a program the tests call, and the Debian package that brings it.
set -u
missing=""
while read -r program package; do
    command -v "$program" >/dev/null 2>&1 && continue
    case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
done <<LIST
chromium chromium
storescu dcmtk
dciodvfy dicom3tools
Orthanc orthanc
java default-jre-headless
strace strace
LIST
# A plugin is no program: Orthanc speaks DICOMweb only with it.
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
[ -z "$missing" ] && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing for the tests:$missing"
    # shellcheck disable=SC2086 - a list of names
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null &&
        exit 0
fi
echo "Some tests will be skipped. To run them: sudo apt-get install -y$missing"
[ "${DOSE_REQUIRE_ALL:-}" = 1 ] && exit 1
exit 0
