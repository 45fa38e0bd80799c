# study: {trial: {command: [sh, SCRIPT], metrics: {loss: 'loss=(\S+)'}}}

for epoch in 1 2 3; do
  echo "epoch $epoch of 3"
  printf 'loss=%s\n' "0.0$epoch${2#0.}"
done
