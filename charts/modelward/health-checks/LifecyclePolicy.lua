-- A policy does nothing by itself: a rollout that it holds back is the health of that Model.

local applies = obj.spec.appliesTo or {}
local tiers = table.concat(applies.tiers or {}, ", ")
return { status = "Healthy", message = "For Models of tier " .. tiers .. ", priority " .. tostring(applies.priority or 0) .. "." }
