"""What every stage needs: errors, files, params, processes, determinism, packaged weights."""
