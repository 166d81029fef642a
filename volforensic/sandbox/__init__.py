"""Workers that parse hostile bytes: confined, limited, replaceable."""
