# finds: stop-ignored
# at: 
# study: {trial: {command: [sh, SCRIPT], metrics: {loss: 'loss: (\S+)'}}}

trap '' TERM
for epoch in 1 2 3 4 5; do
  echo "loss: $2$epoch"
  sleep 0.5
done
