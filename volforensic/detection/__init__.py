"""Rules and correlations over what the case holds."""
