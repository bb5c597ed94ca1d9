"""Speech to text, by a service that speaks OpenAI's protocol."""
