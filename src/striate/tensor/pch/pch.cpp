// Nothing but the precompiled header lives in this target (see torch_pch.h).
