"""The agent: opencode, spoken to over HTTP and its event stream (`opencode serve`)."""
