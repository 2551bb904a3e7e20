-- Every request is a POST of a small document.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"task": "summarise", "text": "a hundred bytes of work, more or less, as an agent is given them"}'
