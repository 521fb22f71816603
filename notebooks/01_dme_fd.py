# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # DME-FD: two networks that disagree

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("01_dme_fd", PROFILE)
print(f"{profile.hardware}, {profile.minutes} minutes; expect {profile.expect}")
